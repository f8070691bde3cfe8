import assert from "node:assert/strict";
import { test } from "node:test";
import type { TimePoint } from "../api/types.ts";
import { groupsOf, linesOf, OTHERS, share } from "./series.ts";

const point = (time: string, group: string | null, calls: number, cost = 0): TimePoint => ({ time, group, calls, errors: 0, p50_ms: null, p95_ms: null, p99_ms: null, ttft_p50_ms: null, cost_usd: cost });

test("groups by cost, then calls; others last", () => {
  assert.deepEqual(groupsOf([point("a", null, 900, 9), point("a", "x", 1, 1), point("a", "y", 5, 2), point("b", "x", 9, 3), point("b", "z", 0)]), ["x", "y", "z", OTHERS]);
});

test("every group has a value or a gap at every time", () => {
  const points = [point("2026-01-01T01:00:00Z", "y", 2), point("2026-01-01T00:00:00Z", "x", 1), point("2026-01-01T01:00:00Z", null, 7)];
  const { x, values } = linesOf(points, groupsOf(points), (p) => p.calls, 0);
  assert.deepEqual(x, [1767225600, 1767229200]);
  assert.deepEqual(Object.fromEntries(groupsOf(points).map((g, i) => [g, values[i]])), { y: [0, 2], x: [1, 0], others: [0, 7] });
  assert.deepEqual(linesOf([], null, (p) => p.calls, 0), { x: [], values: [[]] });
  assert.deepEqual(linesOf([point("2026-01-01T00:00:00Z", null, 3)], null, (p) => p.calls, 0).values, [[3]]);
});

test("a share of nothing is not known", () => {
  assert.equal(share(1, 0), null);
  assert.equal(share(1, 4), 0.25);
});
