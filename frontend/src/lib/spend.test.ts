import assert from "node:assert/strict";
import test from "node:test";
import type { Usage } from "../api/types.ts";
import { ordered, table, total } from "./spend.ts";

const row = (group: string, calls: number, cost: number): Usage => ({
  group, calls, cost_usd: cost, errors: 1, input_tokens: 10, output_tokens: 5, cached_tokens: 2, reasoning_tokens: 0, unpriced: 0, mean_latency_ms: calls === 1 ? 100 : 400,
});

test("the sum weighs latency by calls", () => {
  const all = total([row("a", 1, 0.5), row("b", 3, 0.25)]);
  assert.equal(all.calls, 4);
  assert.equal(all.cost_usd, 0.75);
  assert.equal(all.mean_latency_ms, 325);
  assert.equal(total([]).mean_latency_ms, 0);
});

test("dearest first, days latest first, and the rows given stay as they are", () => {
  const rows = [row("a", 1, 0.5), row("b", 3, 0.75), row("c", 9, 0.5)];
  assert.deepEqual(ordered(rows, "model").map((u) => u.group), ["b", "c", "a"]);
  assert.deepEqual(ordered(rows, "day").map((u) => u.group), ["c", "b", "a"]);
  assert.equal(rows[0]?.group, "a");
});

test("the table for a spreadsheet names keys", () => {
  const [head, first] = table([row("key_1", 1, 0.5)], "key", () => "ci");
  assert.deepEqual(head?.slice(0, 3), ["key", "name", "calls"]);
  assert.deepEqual(first?.slice(0, 3), ["key_1", "ci", 1]);
});
