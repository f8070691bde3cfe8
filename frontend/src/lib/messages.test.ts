import assert from "node:assert/strict";
import { test } from "node:test";
import { fresh, messagesOf, plainText } from "./messages.ts";

const shapes = (body: unknown) => messagesOf(body)?.map((m) => [m.role, ...m.parts.map((p) => `${p.kind}:${p.title ?? ""}:${p.text}`)]);

test("the dialects' requests and answers are messages", () => {
  assert.deepEqual(shapes({ model: "m", messages: [{ role: "system", content: "s" }, { role: "user", content: [{ type: "text", text: "u" }] }] }), [["system", "text::s"], ["user", "text::u"]]);
  assert.deepEqual(shapes({ system: "s", messages: [{ role: "user", content: [{ type: "tool_result", tool_use_id: "1", content: "42" }] }] }), [["system", "text::s"], ["user", "note:tool result:", "text::42"]]);
  assert.deepEqual(shapes({ instructions: "s", model: "m", input: "u" }), [["system", "text::s"], ["user", "text::u"]]);
  assert.deepEqual(shapes({ output: [{ type: "reasoning", summary: [{ text: "hm" }] }, { type: "message", role: "assistant", content: [{ type: "output_text", text: "a" }] }, { type: "function_call", name: "f", arguments: "{}" }] }), [
    ["assistant", "reasoning:reasoning:hm"],
    ["assistant", "text::a"],
    ["assistant", "json:calls f:{}"],
  ]);
  assert.deepEqual(shapes({ contents: [{ role: "model", parts: [{ text: "a" }, { functionCall: { name: "f", args: { x: 1 } } }] }] }), [["assistant", "text::a", 'json:calls f:{\n  "x": 1\n}']]);
  assert.deepEqual(shapes({ candidates: [{ content: { parts: [{ text: "a" }] } }] }), [["assistant", "text::a"]]);
  assert.deepEqual(shapes([{ role: "assistant", parts: [{ type: "reasoning", content: "r" }, { type: "tool_call", name: "f", arguments: { a: 1 } }] }]), [["assistant", "reasoning:reasoning:r", 'json:calls f:{\n  "a": 1\n}']]);
  assert.equal(messagesOf({ query: "x" }), null);
  assert.equal(messagesOf("x"), null);
});

test("images that came along are drawn, others named", () => {
  const png = "data:image/png;base64,AAAA";
  assert.deepEqual(shapes([{ role: "user", content: [{ type: "image_url", image_url: { url: png } }, { type: "image", source: { type: "base64", media_type: "image/png", data: "AAAA" } }, { type: "image_url", image_url: { url: "https://x/y.png" } }] }]), [["user", `image::${png}`, `image::${png}`, "note:image:https://x/y.png"]]);
});

test("a tool's JSON result is pretty; anything else stays as it came", () => {
  assert.deepEqual(shapes([{ role: "tool", tool_call_id: "1", content: '{"a":1}' }]), [["tool", 'json::{\n  "a": 1\n}']]);
  assert.deepEqual(shapes([{ role: "tool", content: "{broken" }]), [["tool", "json::{broken"]]);
});

test("only what is new of a repeated conversation", () => {
  const say = (text: string) => ({ role: "user", parts: [{ kind: "text" as const, text }] });
  assert.deepEqual(fresh([say("a"), say("b")], [say("a"), say("b"), say("c")]).length, 1);
  assert.deepEqual(fresh([say("a")], [say("x"), say("y")]).length, 2);
  assert.deepEqual(fresh([], [say("x")]).length, 1);
  const thought = { role: "assistant", parts: [{ kind: "reasoning" as const, text: "hm" }, { kind: "text" as const, text: "a" }] };
  assert.deepEqual(fresh([thought], [{ role: "assistant", parts: [{ kind: "text" as const, text: "a" }] }, say("b")]), [say("b")]);
});

test("plain text leaves pictures out", () => {
  assert.equal(plainText({ role: "user", content: [{ type: "text", text: "a" }, { type: "image_url", image_url: { url: "data:image/png;base64,AAAA" } }] }), "a");
});
