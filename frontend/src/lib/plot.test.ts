import assert from "node:assert/strict";
import { test } from "node:test";
import { front, roomy, scaleOf, ticks } from "./plot.ts";

test("a scale goes from its lowest to its highest value, by ratio where it is logarithmic", () => {
  const even = scaleOf([10, 20]);
  assert.deepEqual([even.at(10), even.at(15), even.at(20)], [0, 0.5, 1]);
  assert.ok(Math.abs(scaleOf([1e-5, 1e-3], true).at(1e-4) - 0.5) < 1e-12);
  assert.equal(scaleOf([0, 5], true).log, false, "zero has no logarithm");
  assert.equal(scaleOf([3, 3]).at(3), 0.5, "one value is in the middle");
  assert.equal(scaleOf([]).at(0.5), 0.5);
});

test("ticks are round and inside", () => {
  assert.deepEqual(ticks({ low: 0, high: 1, log: false }, 5), [0, 0.2, 0.4, 0.6, 0.8, 1]);
  assert.deepEqual(ticks({ low: 1e-5, high: 2e-3, log: true }), [1e-5, 1e-4, 1e-3]);
  assert.deepEqual(ticks({ low: 0.93, high: 1.01, log: false }, 4), [0.94, 0.96, 0.98, 1]);
});

test("the front holds what nothing beats", () => {
  const points = [[1, 0.5], [2, 0.9], [3, 0.8], [2, 0.7], [0.5, 0.2]];
  assert.deepEqual(front(points, ["minimize", "maximize"]), [4, 0, 1]);
  assert.deepEqual(front([[1, 1], [1, 1]], ["minimize", "maximize"]), [0], "of two alike, one");
});

test("labels that would lie on others, or on dots, are left out", () => {
  const at = (x: number, y: number, left = false) => ({ x, y, text: "int8", left });
  assert.deepEqual([...roomy([at(0, 0), at(100, 4), at(100, 10), at(200, 80)])], [0, 1, 3], "no room below a label");
  assert.deepEqual([...roomy([at(0, 0), at(20, 2)])], [1], "a dot is in the way");
  assert.deepEqual([...roomy([at(0, 0, true), at(20, 2)])], [0, 1], "on the other side there is room");
});
