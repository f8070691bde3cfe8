import assert from "node:assert/strict";
import { test } from "node:test";
import { objectivesOf, spaceOf, valueIn, withValue } from "./recipe.ts";

const TEXT = "# A recipe\n# of two lines\nmethod: sft\nbase: old@1 # start\nadapter: { rank: 16 }\n";

test("a value is read and set in the text, comments stay", () => {
  assert.equal(valueIn(TEXT, "base"), "old@1");
  assert.equal(valueIn(TEXT, "adapter"), "");
  assert.equal(valueIn(TEXT, "name"), "");
  assert.equal(withValue(TEXT, "base", "new@2"), TEXT.replace("old@1 # start", "new@2"));
  assert.equal(withValue(TEXT, "name", "a b"), TEXT.replace("method", 'name: "a b"\nmethod'));
  assert.equal(withValue(TEXT, "base", ""), TEXT.replace("base: old@1 # start\n", ""));
  assert.equal(withValue("dataset: x\n", "dataset", "$&@1"), 'dataset: "$&@1"\n');
});

const row = { name: "rate", type: "float" as const, low: "1e-5", high: "1e-3", log: true, choices: "" };

test("a space is read, or says what is wrong", () => {
  assert.deepEqual(spaceOf([row, { ...row, name: "schedule", type: "choice", choices: "linear, cosine" }, { ...row, name: "rank", type: "int", low: "4", high: "64", log: false }]), {
    rate: { type: "float", low: 1e-5, high: 1e-3, log: true },
    schedule: { type: "choice", choices: ["linear", "cosine"] },
    rank: { type: "int", low: 4, high: 64 },
  });
  assert.match(String(spaceOf([row, row])), /there twice/);
  assert.match(String(spaceOf([{ ...row, low: "0" }])), /above zero/);
  assert.match(String(spaceOf([{ ...row, high: "" }])), /lowest and a highest/);
  assert.match(String(spaceOf([{ ...row, type: "int", log: false }])), /whole numbers/);
  assert.match(String(spaceOf([])), /at least one/);
});

test("objectives have names of their own", () => {
  assert.deepEqual(objectivesOf([{ metric: " exact ", direction: "maximize" }]), [{ metric: "exact", direction: "maximize" }]);
  assert.match(String(objectivesOf([])), /needs a metric/);
});
