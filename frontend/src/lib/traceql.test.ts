import assert from "node:assert/strict";
import { test } from "node:test";
import { chips, modern, queryOf, quoted, terms, termOf, typingAt, withTerm, withWindow, without, wordsOf } from "./traceql.ts";

test("terms are found with their places", () => {
  const text = 'model:gpt-* latency>2s -user:"a b" text:"say \\"no\\"" refund';
  const found = terms(text);
  assert.deepEqual(found.map((t) => [t.kind, t.not, t.field, t.op, t.value]), [
    ["field", false, "model", ":", "gpt-*"],
    ["field", false, "latency", ">", "2s"],
    ["field", true, "user", ":", "a b"],
    ["field", false, "text", ":", 'say "no"'],
    ["text", false, "", "", "refund"],
  ]);
  assert.deepEqual(found.map((t) => text.slice(t.start, t.end)), ["model:gpt-*", "latency>2s", '-user:"a b"', 'text:"say \\"no\\""', "refund"]);
});

test("a value is written so that it is read back", () => {
  for (const value of ["plain", "two words", 'a "quote"', "back\\slash", "(x)", "OR", "", "naïve:x", "a*b", "x=y"]) {
    const made = termOf("user", value);
    assert.deepEqual(terms(made).map((t) => [t.field, t.value]), [["user", value]], made);
  }
  assert.equal(quoted("gpt-4o"), "gpt-4o");
});

test("a condition is added once, and to all of an OR", () => {
  assert.equal(withTerm("", "model", "m"), "model:m");
  assert.equal(withTerm("model:m", "model", "m"), "model:m");
  assert.equal(withTerm("model:a OR model:b", "status", "error"), "(model:a OR model:b) status:error");
  assert.equal(withTerm("(model:a OR model:b)", "status", "error"), "(model:a OR model:b) status:error");
  assert.equal(withTerm("a", "user", "u", { not: true }), "a -user:u");
});

test("chips can be taken away where nothing ties them together", () => {
  const text = "model:m  -user:u word";
  const found = chips(text);
  assert.equal(found.length, 3);
  assert.equal(without(text, found[1]!), "model:m word");
  assert.deepEqual(chips("a OR b"), []);
  assert.deepEqual(chips("(a b)"), []);
});

test("values quoted in part, keys with dots", () => {
  assert.deepEqual(terms('model:gpt-*"mini (old)" metadata.customer:acme score.a/b<0.5').map((t) => [t.field, t.op, t.value]), [
    ["model", ":", "gpt-*mini (old)"],
    ["metadata.customer", ":", "acme"],
    ["score.a/b", "<", "0.5"],
  ]);
});

test("what is being typed", () => {
  assert.deepEqual(typingAt("", 0), { kind: "field", field: "", prefix: "", start: 0, end: 0 });
  assert.deepEqual(typingAt("mod", 3), { kind: "field", field: "", prefix: "mod", start: 0, end: 3 });
  assert.deepEqual(typingAt("-mod", 4), { kind: "field", field: "", prefix: "mod", start: 1, end: 4 });
  assert.deepEqual(typingAt("model:gp x", 8), { kind: "value", field: "model", prefix: "gp", start: 6, end: 8 });
  assert.deepEqual(typingAt('user:"a b', 9), { kind: "value", field: "user", prefix: "a b", start: 5, end: 9 });
  assert.deepEqual(typingAt("a ", 2), { kind: "field", field: "", prefix: "", start: 2, end: 2 });
});

test("old links become one query", () => {
  assert.equal(queryOf({ query: "a", user: "u 1", min_latency_ms: "5", q: "word" }), 'a user:"u 1" latency>=5ms word');
  assert.deepEqual(modern({ query: "a", range: "1h" }), null);
  assert.deepEqual(modern({ status: "error", range: "1h" }), { status: undefined, query: "status:error" });
});

test("words to mark", () => {
  assert.deepEqual(wordsOf('refund "two words" text:late* model:gpt -not user:x a'), ["refund", "two words", "late"]);
});

test("any text is read to its end, and no piece overlaps another", () => {
  for (const text of ['"open', "model:", "a:b:c", "-", "- x", "((", ")a(", "x>", 'm:"a\\', "é ü", "a.b/c:d"]) {
    let at = 0;
    for (const t of terms(text)) {
      assert.ok(t.start >= at && t.end > t.start && t.end <= text.length, text);
      at = t.end;
    }
  }
});

test("a window belongs to the whole query, alternatives included", () => {
  const since = "2026-01-31T12:00:00.000Z";
  assert.equal(withWindow("user:ada OR user:bob", { since, until: "2026-02-01" }), `(user:ada OR user:bob) since:${since} until:2026-02-01`);
  assert.equal(withWindow("", { since }), `since:${since}`);
  assert.equal(withWindow(" refund ", {}), "refund");
  assert.equal(withWindow("", {}), "");
});
