import assert from "node:assert/strict";
import { test } from "node:test";
import { MEASURING, measuringOf, moreSteps, optionsText, stepsOf, valuesOf } from "./optimise.ts";

const schema = { $ref: "#/$defs/GgufOptions", $defs: { GgufOptions: { properties: { quantization: { enum: ["f16", "q8_0"], default: "q8_0" } } }, Distil: { properties: { layers: { type: "integer", default: 1 } } } } };
const METHODS = [
  { name: "gguf", text: "", main: "quantization", options: schema },
  { name: "distil", text: "", main: "layers", options: { ...schema, $ref: "#/$defs/Distil" } },
  { name: "merge", text: "", main: "", options: {} },
];

test("what can be asked for is what the server's schema says", () => {
  assert.deepEqual(METHODS.map(valuesOf), [["f16", "q8_0"], ["1"], []]);
});

test("a variant's name says what tells it apart", () => {
  assert.equal(optionsText({ quantization: "q4_0" }), "q4_0");
  assert.equal(optionsText({ structure: "heads", amount: 0.25, dataset: "tickets@2", split: "train", prompt: "prompt", steps: 200, seed: 0 }), "heads, amount 0.25");
  assert.equal(optionsText({ context: 256 }), "context 256");
});

test("what is ticked and what is written become steps", () => {
  assert.deepEqual(stepsOf(["merge", "gguf:q8_0", "distil:2"], METHODS), [
    { method: "merge", options: {} },
    { method: "gguf", options: { quantization: "q8_0" } },
    { method: "distil", options: { layers: 2 } },
  ]);
  assert.deepEqual(moreSteps('{"method": "prune", "options": {"amount": 0.5}}'), [{ method: "prune", options: { amount: 0.5 } }]);
  assert.deepEqual(moreSteps(" "), []);
  assert.match(String(moreSteps("[1]")), /object with a method/);
  assert.match(String(moreSteps("{")), /Not JSON/);
});

test("how variants are measured is said as it was typed, and what was left empty is not", () => {
  assert.deepEqual(measuringOf(MEASURING, " "), { trial: { threads: 1, priority: 0 } });
  const typed = { ...MEASURING, metric: " exact ", margin: "0.02", threads: "", memory: "2048", priority: "-5" };
  assert.deepEqual(measuringOf(typed, " held-out "), { suite: "held-out", choose: { by: "tokens_per_s", metric: "exact", margin: 0.02 }, trial: { memory_mb: 2048, priority: -5 } });
  assert.deepEqual(measuringOf({ ...MEASURING, metric: "exact" }, ""), { trial: { threads: 1, priority: 0 } });
});
