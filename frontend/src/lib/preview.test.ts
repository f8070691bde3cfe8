import assert from "node:assert/strict";
import { test } from "node:test";
import { wordsIn } from "./preview.ts";

test("what messages say, also when they are cut", () => {
  assert.equal(wordsIn('[{"role": "system", "parts": [{"type": "text", "content": "Be kind."}]}, {"role": "user", "parts": [{"type": "text", "content": "My in'), "Be kind. · My in");
  assert.equal(wordsIn('{"messages":[{"role":"user","content":"a \\"quoted\\" word"}]'), 'a "quoted" word');
  assert.equal(wordsIn('[{"role":"assistant","parts":[{"type":"tool_call","name":"find_invoice","arguments":{"month":1}'), "calls find_invoice");
});

test("anything else stays as it is", () => {
  for (const text of ["", "plain words", '{"a": 1}', "[1, 2", "{broken"]) assert.equal(wordsIn(text), text);
});
