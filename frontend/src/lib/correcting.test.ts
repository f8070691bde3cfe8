import assert from "node:assert/strict";
import { test } from "node:test";
import { BLANK_REDACTION, importedSaid, redactedSaid, redactionOf, repricedSaid, repricingOf } from "./correcting.ts";

test("a redaction names its traces and what goes", () => {
  const all = redactionOf({ ...BLANK_REDACTION, fields: "password, token" });
  assert.deepEqual(all.filters, {});
  assert.deepEqual(all.fields, ["password", "token"]);
  assert.ok((all.detectors as Record<string, unknown>).pii);
  const some = redactionOf({ ...BLANK_REDACTION, pii: false, query: " user:ada ", pattern: "T-[0-9]+" });
  assert.equal(some.query, "user:ada");
  assert.ok(!("filters" in some));
  assert.deepEqual(some.patterns, [{ name: "redacted", pattern: "T-[0-9]+" }]);
  assert.throws(() => redactionOf({ ...BLANK_REDACTION, pii: false }), /taken out/);
});

test("pricing anew needs a beginning before its end", () => {
  const draft = { since: "2026-01-02", until: "", model: " m ", given: false };
  assert.equal(repricingOf(draft).model, "m");
  assert.ok(!("until" in repricingOf(draft)));
  assert.throws(() => repricingOf({ ...draft, since: "" }), /which day/);
  assert.throws(() => repricingOf({ ...draft, until: "2026-01-02" }), /before/);
});

test("what came of it is said in a sentence", () => {
  assert.equal(importedSaid({ rows: 3, spans: 1, traces: 1, quarantined: 2 }), "1 span of 1 trace imported from 3 rows; 2 rows could not be read.");
  assert.equal(redactedSaid({ looked_at: 9, traces: 1, spans: 2 }, true), "2 spans of 1 trace would be changed; 9 looked at.");
  assert.match(repricedSaid({ calls: 4, changed: 3, unpriced: 1, before_usd: 1, after_usd: 2 }, false), /^3 calls of 4 cost something else now: \$1.00 became \$2.00\./);
});
