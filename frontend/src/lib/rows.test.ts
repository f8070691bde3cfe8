import assert from "node:assert/strict";
import { test } from "node:test";
import type { SpanDetail } from "../api/types.ts";
import { callOf, completionOf, lastOnly, promptOf, rowOf } from "./rows.ts";

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

test("answers of every dialect", () => {
  assert.equal(completionOf({ choices: [{ message: { role: "assistant", content: "yes" } }] }), "yes");
  assert.equal(completionOf({ content: [{ type: "text", text: "yes" }] }), "yes");
  assert.equal(completionOf([{ role: "assistant", parts: [{ type: "text", content: "yes" }] }]), "yes");
  assert.equal(completionOf({ candidates: [{ content: { parts: [{ text: "yes" }] } }] }), "yes");
  assert.equal(completionOf({ output: [{ type: "message", role: "assistant", content: [{ type: "output_text", text: "yes" }] }] }), "yes");
  assert.equal(completionOf("yes"), "yes");
  assert.equal(completionOf(null), "");
});

test("rows are of model calls with a body, one a trace when asked", () => {
  const span = { kind: "llm", span_id: "1", model: "m", input: "q", output: "a" } as SpanDetail;
  assert.equal(rowOf("t", { ...span, kind: "tool" }), null);
  assert.equal(rowOf("t", { ...span, input: null }), null);
  const rows = [rowOf("t", span)!, rowOf("t", { ...span, span_id: "2" })!, rowOf("u", span)!];
  assert.deepEqual(lastOnly(rows).map((r) => [r.trace_id, r.span_id]), [["t", "2"], ["u", "1"]]);
});

test("a recorded call can be made again with its settings", () => {
  const call = callOf({ kind: "llm", model: "a", requested_model: "b", input: { system: "s", messages: [{ role: "user", content: "u" }], temperature: 0, stream: true, stop: "x", tools: [{ type: "function" }], metadata: { no: 1 } } } as unknown as SpanDetail);
  assert.deepEqual(call, { model: "b", messages: [{ role: "system", content: "s" }, { role: "user", content: "u" }], stream: true, tools: [{ type: "function" }], temperature: 0, stop: ["x"] });
  assert.equal(callOf({ kind: "llm", input: null } as unknown as SpanDetail), null);
  assert.deepEqual(promptOf({ contents: [{ role: "model", parts: [{ text: "a" }] }] }), [{ role: "assistant", content: "a" }]);
});
