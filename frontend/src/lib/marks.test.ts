import assert from "node:assert/strict";
import { test } from "node:test";
import { around, marked, markedAt, near } from "./marks.ts";
import { columnsOf, columnsText, shownColumns, USUAL } from "./columns.ts";

test("words are marked whatever their case, never twice, and nothing is lost", () => {
  assert.deepEqual(marked("A Refund is a refund", ["refund", "fun"]), [
    { text: "A ", hit: false },
    { text: "Refund", hit: true },
    { text: " is a ", hit: false },
    { text: "refund", hit: true },
  ]);
  for (const [text, words] of [["", ["a"]], ["aaa", ["a", "aa"]], ["İstanbul", ["istanbul"]], ["x", []], ["abc", ["", "b"]]] as [string, string[]][])
    assert.equal(marked(text, words).map((p) => p.text).join(""), text);
});

test("places found by the server are characters, not UTF-16 units", () => {
  assert.deepEqual(markedAt("🙂 refund 🙂 now", [[2, 8], [11, 14]]), [
    { text: "🙂 ", hit: false },
    { text: "refund", hit: true },
    { text: " 🙂 ", hit: false },
    { text: "now", hit: true },
  ]);
  assert.deepEqual(markedAt("ab", [[0, 1], [0, 2], [5, 9]]).map((p) => p.text).join(""), "ab");
});

test("a find stands near the beginning of what is shown", () => {
  const text = "🙂 I was charged twice for the Pro plan, please refund me";
  const at = [...text.slice(0, text.indexOf("refund"))].length;
  const cut = near(text, [[at, at + 6]]);
  assert.deepEqual(markedAt(cut.text, cut.marks).filter((p) => p.hit).map((p) => p.text), ["refund"]);
  assert.ok(cut.text.startsWith("…") && cut.text.indexOf("refund") <= 20);
  assert.deepEqual(near("refund me", [[0, 6]]), { text: "refund me", marks: [[0, 6]] });
});

test("a long text is shown from near its first find", () => {
  const text = `${"x".repeat(200)} refund ${"y".repeat(20)}`;
  assert.ok(around(text, ["refund"]).startsWith("…"));
  assert.ok(around(text, ["refund"]).includes("refund"));
  assert.equal(around("short refund", ["refund"]), "short refund");
  assert.equal(around(text, ["nothing"]), text);
});

test("columns go into the address and come back", () => {
  assert.equal(columnsText(USUAL), undefined);
  assert.deepEqual(columnsOf(undefined), USUAL);
  assert.deepEqual(columnsOf("cost,time,nonsense"), ["time", "cost"]);
  assert.equal(columnsText(["cost", "time"]), "time,cost");
  assert.deepEqual(shownColumns(USUAL, true).map((c) => c.key), ["time", "name", "latency"]);
});
