import assert from "node:assert/strict";
import { test } from "node:test";
import { diffWords } from "./diff.ts";

const side = (l: string, r: string, not: string) => diffWords(l, r).filter((c) => c.op !== not).map((c) => c.text).join("");

test("changed words only", () => {
  assert.deepEqual(diffWords("the red fox", "the blue fox"), [
    { op: "equal", text: "the " },
    { op: "delete", text: "red" },
    { op: "insert", text: "blue" },
    { op: "equal", text: " fox" },
  ]);
  assert.deepEqual(diffWords("a b c d", "x y c z"), [
    { op: "delete", text: "a b" },
    { op: "insert", text: "x y" },
    { op: "equal", text: " c " },
    { op: "delete", text: "d" },
    { op: "insert", text: "z" },
  ]);
  assert.deepEqual(diffWords("", ""), []);
  assert.deepEqual(diffWords("", "a"), [{ op: "insert", text: "a" }]);
});

test("both texts can be read back, whatever they are", () => {
  const texts = ["", "a b c", "c b a", "naïve ü 🙂 x", '{"a": [1, 2]}\n', "x ".repeat(3000), "y ".repeat(3000)];
  for (const l of texts)
    for (const r of texts) {
      assert.equal(side(l, r, "insert"), l);
      assert.equal(side(l, r, "delete"), r);
    }
});
