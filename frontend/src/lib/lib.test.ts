import assert from "node:assert/strict";
import test from "node:test";
import { bytes, count, figure, ms, short, usd } from "./format.ts";
import { ago, rangeMs, windowOf } from "./time.ts";

test("figures are short and never lie about being absent", () => {
  assert.equal(count(9999), "9,999");
  assert.equal(count(12_345), "12.3k");
  assert.equal(count(999_600), "1.0M");
  assert.equal(count(null), "–");
  assert.equal(ms(0.25), "0.25 ms");
  assert.equal(ms(59_999), "60.0 s");
  assert.equal(ms(61_000), "1 m 1 s");
  assert.equal(usd(0.00012), "$0.00012");
  assert.equal(usd(0.000036), "$0.000036");
  assert.equal(usd(1234.5), "$1,234.50");
  assert.equal(bytes(999), "999 B");
  assert.equal(bytes(1_500_000), "1.5 MB");
  assert.equal(figure(0.00001), "1.00e-5");
  assert.equal(short("run_0123456789abcdef"), "run_…89abcdef");
});

test("a relative range stays relative until it is asked for", () => {
  const now = Date.parse("2026-01-02T00:00:00Z");
  assert.deepEqual(windowOf({ range: "1h" }, now), { since: "2026-01-01T23:00:00.000Z" });
  assert.deepEqual(windowOf({ range: "all" }, now), {});
  assert.deepEqual(windowOf({ range: "1h", since: "a", until: "b" }, now), { since: "a", until: "b" });
  assert.equal(rangeMs("nonsense"), null);
  assert.equal(ago("2026-01-01T23:59:00Z", now), "1 min ago");
});
