import assert from "node:assert/strict";
import { test } from "node:test";
import type { SpanDetail } from "../api/types.ts";
import { completionOf, lastOnly, promptOf, rowOf } from "./rows.ts";

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
