import assert from "node:assert/strict";
import { test } from "node:test";
import type { QueueLabel } from "../api/types.ts";
import { answersOf, beside, choicesOf, labelsOf, lettersOf, missing, nextOpen, problemOf, reading, said, sidesOf, textOf, votes } from "./annotate.ts";

const ask = (label: Pick<QueueLabel, "name" | "type"> & Partial<QueueLabel>): QueueLabel => ({ options: [], range: null, required: false, key: "", help: "", ...label });
const tone = ask({ name: "tone", type: "categorical", options: ["polite", "neutral", "rude"], required: true });
const stars = ask({ name: "stars", type: "number", range: [1, 5] });
const better = ask({ name: "better", type: "preference", required: true });
const note = ask({ name: "note", type: "text" });

test("digits choose: options in order, and on a scale the number itself", () => {
  assert.deepEqual(choicesOf(tone).map((c) => `${c.key} ${c.text}`), ["1 polite", "2 neutral", "3 rude"]);
  assert.deepEqual(choicesOf(stars).map((c) => [c.key, c.value]), [["1", 1], ["2", 2], ["3", 3], ["4", 4], ["5", 5]]);
  assert.deepEqual(choicesOf(ask({ name: "x", type: "number", range: [0, 10] })).map((c) => c.key).join("|"), "0|1|2|3|4|5|6|7|8|9|");
  assert.deepEqual(choicesOf(ask({ name: "x", type: "number", range: [0, 100] })), []);
  assert.deepEqual(choicesOf(ask({ name: "x", type: "number" })), []);
  assert.deepEqual(choicesOf(note), []);
  const many = choicesOf(ask({ name: "x", type: "categorical", options: Array.from({ length: 12 }, (_, i) => `o${i}`) }));
  assert.deepEqual(many.map((c) => c.key).join(""), "1234567890");
});

test("what must be answered is known, and zero, no and a tie are answers", () => {
  assert.deepEqual(missing([tone, stars, better], {}), ["tone", "better"]);
  assert.deepEqual(missing([tone], { tone: "  " }), ["tone"]);
  const labels = [ask({ name: "n", type: "number", required: true }), ask({ name: "b", type: "boolean", required: true })];
  assert.deepEqual(missing(labels, { n: 0, b: false }), []);
  assert.deepEqual(missing([stars], { stars: 9 }), ["stars"]);
  assert.equal(problemOf(stars, 0), "At least 1.");
  assert.equal(problemOf(stars, Number.NaN), "A number, please.");
  assert.deepEqual(answersOf([tone, note], { tone: "rude", note: "", gone: 1 }), { tone: "rude" });
});

test("after an answer the next open question is current", () => {
  assert.equal(nextOpen([tone, stars, better], { tone: "rude" }, 0), 1);
  assert.equal(nextOpen([tone, stars, better], { tone: "rude", stars: 3, better: "a" }, 1), 1);
  assert.equal(nextOpen([tone, stars, better], { better: "a" }, 2), 0);
});

test("arrows move along the choices and stop at the ends", () => {
  assert.equal(beside(tone, undefined, 1), "polite");
  assert.equal(beside(tone, undefined, -1), "rude");
  assert.equal(beside(tone, "polite", 1), "neutral");
  assert.equal(beside(tone, "rude", 1), "rude");
  assert.equal(beside(note, "kept", 1), "kept");
});

test("letters go to questions and never shadow the page's own keys", () => {
  assert.deepEqual(lettersOf([tone]), [""]);
  const letters = lettersOf([{ ...tone, key: "s" }, { ...stars, key: "T" }, { ...better, key: "t" }, note]);
  assert.equal(new Set(letters).size, 4);
  assert.equal(letters[1], "t");
  for (const key of letters) assert.match(key, /^[a-z]$/);
  assert.ok(!letters.some((k) => "suechgai".includes(k)));
});

test("content is told apart: asked, answered, reference, rest", () => {
  const one = sidesOf({ messages: [{ role: "user", content: "hi" }], output: "hello", reference: "hey", user: "u1", trace_id: "t".repeat(32) });
  assert.deepEqual(one.answers, [{ name: "Answer", body: "hello" }]);
  assert.equal(one.reference, "hey");
  assert.deepEqual(one.rest, [["user", "u1"]]);
  const pair = sidesOf({ messages: [{ role: "user", content: "q" }], a: "1", b: "2", reference: "" });
  assert.deepEqual(pair.answers.map((x) => x.name), ["A", "B"]);
  assert.equal(pair.reference, undefined);
  // Of a row only the columns that are not shown as question, answer or reference.
  const row = sidesOf({ row: { question: "q", answer: "yes", label: null, topic: "x" }, messages: [{ role: "user", content: "q" }], output: "yes" });
  assert.deepEqual(row.rest, [["topic", "x"]]);
  assert.equal(sidesOf({ error: "502", messages: [] }).error, "502");
  assert.equal(textOf({ role: "assistant", content: [{ type: "text", text: "x" }, { type: "text", text: "y" }] }), "x\ny");
});

test("votes are counted by value and said in words", () => {
  const found = votes([{ annotator: "ann", values: { b: true } }, { annotator: "bob", values: { b: false } }, { annotator: "cy", values: { b: true } }, { annotator: "di", values: null }], "b");
  assert.deepEqual(found, [{ value: true, by: ["ann", "cy"] }, { value: false, by: ["bob"] }]);
  assert.equal(said(ask({ name: "b", type: "boolean" }), false), "No");
  assert.equal(said(undefined, 3), "3");
  assert.equal(said(tone, ""), "–");
});

test("the form's questions become labels or a sentence", () => {
  const blank = { options: "", low: "", high: "", required: true };
  assert.deepEqual(labelsOf([{ ...blank, name: " tone ", type: "categorical", options: "a, b, a" }, { ...blank, name: "stars", type: "number", low: "1", high: "5", required: false }]), [
    { name: "tone", type: "categorical", required: true, options: ["a", "b"] },
    { name: "stars", type: "number", required: false, range: [1, 5] },
  ]);
  assert.throws(() => labelsOf([{ ...blank, name: "", type: "text" }]), /Question 1 needs a name/);
  assert.throws(() => labelsOf([{ ...blank, name: "x", type: "text" }, { ...blank, name: "x", type: "text" }]), /Two questions/);
  assert.throws(() => labelsOf([{ ...blank, name: "x", type: "categorical", options: "one" }]), /at least two/);
  assert.throws(() => labelsOf([{ ...blank, name: "x", type: "number", low: "5", high: "1" }]), /ends before/);
  assert.throws(() => labelsOf([{ ...blank, name: "x", type: "number", low: "5" }]), /two numbers/);
});

test("a coefficient is read with the usual words", () => {
  assert.deepEqual([-0.1, 0, 0.2, 0.4, 0.6, 0.8, 1].map(reading), ["less than chance", "slight", "fair", "moderate", "substantial", "almost perfect", "almost perfect"]);
});
