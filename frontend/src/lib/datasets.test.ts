import assert from "node:assert/strict";
import { test } from "node:test";
import type { DatasetProfile } from "../api/types.ts";
import { fieldsOf, moved, sentence, spreadOf, valueText } from "./datasets.ts";

const profile = (rows: number, more: object = {}): DatasetProfile => ({
  rows,
  exact_duplicates: 2,
  labels: {},
  columns: [{ name: "text", type: "string", missing: 3, distinct: rows, distinct_capped: false, near_constant: false, top: [], outliers: 0, tokens: { mean: 12 } }],
  text: { rows, languages: {}, personal_data: {}, rows_with_personal_data: 5, near_duplicates: 1, ...more },
});

test("figures of two versions stand beside each other, when both have them", () => {
  const names = (list: { name: string }[]) => list.map((m) => m.name);
  const found = moved(profile(10), profile(8, { rows_with_toxic_words: 1 }));
  assert.deepEqual(found[0], { name: "Rows", before: 10, after: 8, bad: undefined });
  assert.ok(names(found).includes("Tokens of text (mean)") && !names(found).includes("Characters of text (mean)") && !names(found).includes("Rows with toxic words"));
});

test("what differs in a row comes first", () => {
  const found = fieldsOf({ change: "changed", key: 1, before: { a: 1, b: "x", c: null }, after: { a: 1, b: "y", d: [2] } });
  assert.deepEqual(found.map((f) => `${f.name} ${f.differs}`), ["b true", "c true", "d true", "a false"]);
  assert.deepEqual(fieldsOf({ change: "added", key: 1, after: { a: 1 } }).map((f) => f.differs), [false]);
  assert.equal(valueText(undefined), "–");
  assert.equal(valueText([2]), "[2]");
});

test("checks are said as sentences, unknown ones as they are written", () => {
  assert.equal(sentence({ check: "range", column: "age", min: 0 }), "age is at least 0");
  assert.equal(sentence({ check: "range", column: "age", min: 0, max: 9 }), "age is at least 0 and at most 9");
  assert.equal(sentence({ check: "unique", columns: ["id", "day"] }), "id, day is never repeated");
  assert.equal(sentence({ check: "allowed", column: "tone", values: ["a", 1] }), "tone is one of a, 1");
  assert.equal(sentence({ check: "missing", column: "x", max: 0.05 }), "at most 5 % of x is missing");
  assert.equal(sentence({ check: "length", column: "x", min: 1, max: 20 }), "x has 1 to 20 characters");
  assert.equal(sentence({ check: "new", column: "x" }), '{"check":"new","column":"x"}');
  assert.equal(sentence({ check: "unique" }), '{"check":"unique"}');
});

test("a spread stays inside its box, whatever its figures say", () => {
  const plain = spreadOf({ min: 0, max: 100, p5: 10, median: 50, p95: 90 });
  assert.deepEqual([plain.low, plain.high, plain.middle], [0, 100, 50]);
  for (const odd of [{ min: 5, max: 3, p5: 1, median: 9, p95: 4 }, { min: 0, max: 10, median: 400 }, { min: 7, max: 7 }, {}, { min: Number.NaN, max: 2, median: -1 }] as Record<string, number>[]) {
    const s = spreadOf(odd);
    for (const v of [s.from, s.to, s.middle]) assert.ok(v >= 2 && v <= 98, `${JSON.stringify(odd)}: ${v}`);
    assert.ok(s.from <= s.to);
  }
});
