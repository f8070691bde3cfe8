import assert from "node:assert/strict";
import { test } from "node:test";
import { readRanges, within, writeRanges } from "./ranges.ts";
import { axesOf } from "./runs.ts";

test("ranges go into the address and come back", () => {
  const ranges = { learning_rate: [0.25, 0.5], "feedback:thumb": [0, 1] } as Record<string, [number, number]>;
  assert.equal(writeRanges(ranges), "learning_rate:0.250-0.500~feedback:thumb:0.000-1.000");
  assert.deepEqual(readRanges(writeRanges(ranges)), ranges);
  assert.deepEqual(readRanges("nonsense~x:1"), {});
  assert.deepEqual(readRanges(undefined), {});
});

test("only lines that pass through every range stay", () => {
  const lines = [0, 5, 10].map((rank, i) => ({ id: String(i), label: "", values: { rank, schedule: i === 1 ? "linear" : "cosine" } }));
  const axes = axesOf(lines, ["rank", "schedule"]);
  assert.deepEqual([...within(lines, axes, {})], ["0", "1", "2"]);
  assert.deepEqual([...within(lines, axes, { rank: [0.4, 1] })], ["1", "2"]);
  assert.deepEqual([...within(lines, axes, { rank: [0.4, 1], schedule: [0, 0.2] })], ["2"]);
  assert.deepEqual([...within([{ id: "x", label: "", values: {} }], axes, { rank: [0, 1] })], [], "what has no value is outside");
});
