import assert from "node:assert/strict";
import { test } from "node:test";
import type { SpanDetail } from "../api/types.ts";
import { callOf, promptOf } from "./replay.ts";

test("prompts of every dialect", () => {
  const user = [{ role: "user", content: "hi" }];
  assert.deepEqual(promptOf({ messages: user }), user);
  assert.deepEqual(promptOf({ system: "be short", messages: user }), [{ role: "system", content: "be short" }, ...user]);
  assert.deepEqual(promptOf([{ role: "user", parts: [{ type: "text", content: "hi" }] }])?.map((m) => m.content), ["hi"]);
  assert.deepEqual(promptOf("hi"), user);
  assert.deepEqual(promptOf({ input: "hi" }), user);
  assert.equal(promptOf({ query: "hi" }), null);
  assert.equal(promptOf(null), null);
});

test("a recorded call can be made again with its settings", () => {
  const call = callOf({ kind: "llm", model: "a", requested_model: "b", input: { system: "s", messages: [{ role: "user", content: "u" }], temperature: 0, stream: true, stop: "x", tools: [{ type: "function" }], metadata: { no: 1 } } } as unknown as SpanDetail);
  assert.deepEqual(call, { model: "b", messages: [{ role: "system", content: "s" }, { role: "user", content: "u" }], stream: true, tools: [{ type: "function" }], temperature: 0, stop: ["x"] });
  assert.equal(callOf({ kind: "tool", input: { query: "x" } } as unknown as SpanDetail), null);
  // Of a refused call a policy may keep everything but its messages.
  assert.deepEqual(callOf({ kind: "llm", model: null, requested_model: null, input: { model: "chat", temperature: 0.3, messages: "[REFUSED]" } } as unknown as SpanDetail), { model: "chat", messages: [], stream: false, temperature: 0.3 });
  assert.deepEqual(promptOf({ contents: [{ role: "model", parts: [{ text: "a" }] }] }), [{ role: "assistant", content: "a" }]);
});
