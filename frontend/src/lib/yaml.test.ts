import assert from "node:assert/strict";
import { test } from "node:test";
import { parseYaml, writeYaml, YamlError } from "./yaml.ts";

test("a recipe is read", () => {
  const text = `# what it is for
name: triage   # a comment
method: sft
base: tiny-base@1
adapter: { rank: 16, alpha: 32, dropout: 0.0, targets: all-linear }
preference:
  losses: [sigmoid, "sft"]
  weights:
    - 1.0
    - 1e-1
learning_rate: 0.0002
split: ""
packing: true
note: |
  First line # kept
    indented

  last
rewards:
- scorer: exact
  weight: 2
-
  scorer: 'it''s'
`;
  assert.deepEqual(parseYaml(text), {
    name: "triage",
    method: "sft",
    base: "tiny-base@1",
    adapter: { rank: 16, alpha: 32, dropout: 0, targets: "all-linear" },
    preference: { losses: ["sigmoid", "sft"], weights: [1, 0.1] },
    learning_rate: 0.0002,
    split: "",
    packing: true,
    note: "First line # kept\n  indented\n\nlast\n",
    rewards: [{ scorer: "exact", weight: 2 }, { scorer: "it's" }],
  });
  assert.deepEqual(parseYaml("url: http://127.0.0.1:1/x#y\nempty:\n"), { url: "http://127.0.0.1:1/x#y", empty: null });
  assert.deepEqual(parseYaml(" \n# nothing\n"), {});
});

test("mistakes are told with their line", () => {
  const line = (text: string) => {
    try {
      parseYaml(text);
    } catch (e) {
      return (e as YamlError).message;
    }
    return "";
  };
  assert.match(line("a: 1\nb"), /^Line 2: is not written as key: value/);
  assert.match(line("a: [1, 2"), /^Line 1: a , or \] is missing/);
  assert.match(line("a: 1\n  b: 2"), /^Line 2: is not in line/);
  assert.match(line("a: 1\na: 2"), /^Line 2: a is there twice/);
  assert.match(line("\ta: 1"), /^Line 1: a line begins with a tab/);
  assert.match(line('a: "x'), /^Line 1: the quotes/);
  assert.match(line("a: *other"), /^Line 1: \* is not read here/);
  assert.match(line("- 1\n- 2"), /^Line 1: a recipe is written/);
});

test("what is written is read back", () => {
  const recipe = { name: "a b", empty: "", yes: "true", n: "12", deep: { list: [1, "x, y", { k: null }], on: false, more: "long enough to go below its key, that is for sure, with commas and: colons" }, rate: 1e-7, base: "tiny@1", nothing: {}, none: [] };
  assert.deepEqual(parseYaml(writeYaml(recipe)), recipe);
});
