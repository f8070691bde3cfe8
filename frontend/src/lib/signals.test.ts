import assert from "node:assert/strict";
import { test } from "node:test";
import type { LogLine, SignalPoint } from "../api/types.ts";
import { formatOf, groupsOf, linesOf, saidOf, severityName, severityTone, valueOf } from "./signals.ts";

const point = (time: string, group: string, more: Partial<SignalPoint> = {}): SignalPoint => ({ time, group, count: 2, sum: 6, low: 1, high: 5, p50: 3, p95: 5, p99: 5, ...more });

test("severities have the names of their ranges", () => {
  assert.deepEqual([0, 1, 8, 9, 12, 13, 17, 24].map(severityName), ["", "trace", "debug", "info", "info", "warning", "error", "fatal"]);
  assert.deepEqual([9, 13, 17].map(severityTone), ["plain", "wait", "bad"]);
});

test("a record says its body, else its attributes", () => {
  const log = { body: null, attributes: {} } as unknown as LogLine;
  assert.equal(saidOf(log), "");
  assert.equal(saidOf({ ...log, body: "hello" }), "hello");
  assert.equal(saidOf({ ...log, body: { a: 1 } }), '{"a":1}');
  assert.equal(saidOf({ ...log, attributes: { b: 2 } }), '{"b":2}');
});

test("values are written in their unit", () => {
  assert.equal(formatOf("s")(0.25), "250 ms");
  assert.equal(formatOf("{token}")(1234.4), "1,234");
  assert.equal(formatOf("By")(1.5), "1.500");
});

test("groups add up over time", () => {
  const points = [point("2026-01-01T00:00:00Z", "a"), point("2026-01-01T02:00:00Z", "a", { low: null, high: 9 }), point("2026-01-01T00:00:00Z", "b", { count: 9 })];
  assert.deepEqual(groupsOf(points), [
    { group: "b", count: 9, sum: 6, low: 1, high: 5 },
    { group: "a", count: 4, sum: 12, low: 1, high: 9 },
  ]);
});

test("hours without reports are gaps", () => {
  const points = [point("2026-01-01T00:00:00Z", "a"), point("2026-01-01T02:00:00Z", "a", { sum: 8 }), point("2026-01-01T01:00:00Z", "b")];
  const { x, values } = linesOf(points, ["a", "b"], "mean");
  assert.equal(x.length, 3);
  assert.deepEqual(values, [[3, null, 4], [null, 3, null]]);
  assert.equal(valueOf(point("2026-01-01T00:00:00Z", "a", { count: 0 }), "mean"), null);
  assert.deepEqual(linesOf([], ["a"], "sum"), { x: [], values: [[]] });
});
