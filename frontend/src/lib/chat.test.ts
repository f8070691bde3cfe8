import assert from "node:assert/strict";
import test from "node:test";
import { absorb, type Answer, bodyOf, type Call, CallError, messageOf, program, python, run, saidIn, toolsOf } from "./chat.ts";

const fresh = (): Answer => ({ text: "", reasoning: "", tools: [], finish: null, inputTokens: null, outputTokens: null, cachedTokens: null, firstMs: null, totalMs: null, said: saidIn(new Headers()) });
const CALL: Call = { model: "chat", messages: [{ role: "user", content: "It's me" }], stream: true };

async function through(response: Response, call = CALL, cache?: string) {
  const asked: RequestInit[] = [];
  const before = globalThis.fetch;
  globalThis.fetch = (async (_url: unknown, init: RequestInit) => (asked.push(init), response)) as typeof fetch;
  try {
    const states: Answer[] = [];
    for await (const state of run(call, { cache }, new AbortController().signal)) states.push(state);
    return { states, last: states.at(-1)!, asked: asked[0]! };
  } finally {
    globalThis.fetch = before;
  }
}

test("tool calls that come in pieces are put together by their index", () => {
  const answer = fresh();
  absorb(answer, { choices: [{ delta: { tool_calls: [{ index: 0, id: "c1", function: { name: "find", arguments: "" } }] } }] });
  absorb(answer, { choices: [{ delta: { tool_calls: [{ index: 1, id: "c2", function: { name: "send", arguments: "{}" } }] } }] });
  absorb(answer, { choices: [{ delta: { tool_calls: [{ index: 0, function: { arguments: '{"q":' } }] } }] });
  absorb(answer, { choices: [{ delta: { tool_calls: [{ index: 0, function: { arguments: "1}" } }] }, finish_reason: "tool_calls" }] });
  assert.deepEqual(answer.tools, [{ id: "c1", name: "find", arguments: '{"q":1}' }, { id: "c2", name: "send", arguments: "{}" }]);
  assert.equal(messageOf(answer).tool_calls?.length, 2);
  assert.equal(answer.finish, "tool_calls");
});

test("a stream shows what its headers and its last chunk say", async () => {
  const text = ['{"choices":[{"delta":{"content":"a"}}]}', '{"choices":[{"delta":{"content":"b"},"finish_reason":"stop"}]}', '{"choices":[],"usage":{"prompt_tokens":3,"completion_tokens":2,"prompt_tokens_details":{"cached_tokens":1}}}', "[DONE]"].map((d) => `data: ${d}\n\n`).join("");
  const headers = { "content-type": "text/event-stream", "x-penstock-route": "chat", "x-penstock-arm": "new", "x-penstock-target": "mock/m", "x-penstock-attempts": "2", "x-penstock-cache": "miss" };
  const { states, last, asked } = await through(new Response(text, { headers }), CALL, "no-cache");
  assert.equal(last.text, "ab");
  assert.deepEqual([last.inputTokens, last.outputTokens, last.cachedTokens], [3, 2, 1]);
  assert.deepEqual([last.said.route, last.said.arm, last.said.target, last.said.attempts, last.said.cache, last.said.costUsd], ["chat", "new", "mock/m", 2, "miss", null]);
  assert.ok(states.length > 3 && last.firstMs !== null && last.totalMs !== null);
  assert.equal((asked.headers as Record<string, string>)["cache-control"], "no-cache");
  assert.deepEqual(JSON.parse(asked.body as string).stream_options, { include_usage: true });
});

test("a whole answer has no first token, but a cost", async () => {
  const body = { choices: [{ message: { content: "hello" }, finish_reason: "stop" }], usage: { prompt_tokens: 1, completion_tokens: 1 } };
  const { last, asked } = await through(Response.json(body, { headers: { "x-penstock-cost-usd": "0.000012000" } }), { ...CALL, stream: false });
  assert.deepEqual([last.text, last.firstMs, last.said.costUsd], ["hello", null, 0.000012]);
  assert.equal("stream" in JSON.parse(asked.body as string), false);
});

test("a refusal keeps its code and its trace, before and inside of a stream", async () => {
  const error = { error: { message: "Refused by a guard.", code: "content_filter", type: "invalid_request_error" } };
  const failed = (e: unknown) => e instanceof CallError && e.code === "content_filter" && e.said.traceId === "t1" && /guard/.test(e.message);
  const headers = { "x-penstock-trace-id": "t1" };
  await assert.rejects(through(Response.json(error, { status: 400, headers })), failed);
  const text = `data: {"choices":[{"delta":{"content":"a"}}]}\n\ndata: ${JSON.stringify(error)}\n\n`;
  await assert.rejects(through(new Response(text, { headers: { ...headers, "content-type": "text/event-stream" } })), failed);
});

test("a call as a program keeps quotes, and nothing that was not asked for", () => {
  const curl = program("curl", "http://h", CALL, { cache: "no-cache" });
  assert.match(curl, /It'\\''s me/);
  assert.match(curl, /Cache-Control: no-cache/);
  assert.deepEqual(Object.keys(bodyOf({ ...CALL, tools: [], temperature: undefined })), ["model", "messages", "stream", "stream_options"]);
  const code = program("python", "http://h", { ...CALL, stream: false, temperature: 0.5 }, {});
  assert.match(code, /temperature=0\.5,/);
  assert.match(code, /print\(answer\.choices/);
  assert.equal(python({ a: [true, null, "x"] }), '{\n    "a": [\n        True,\n        None,\n        "x",\n    ],\n}');
});

test("tools say what is wrong with them", () => {
  assert.equal(toolsOf("  "), undefined);
  assert.throws(() => toolsOf("{"), /Not JSON/);
  assert.throws(() => toolsOf("{}"), /list/);
  assert.throws(() => toolsOf("[{}]"), /type/);
  assert.equal(toolsOf('[{"type":"function","function":{"name":"f"}}]')?.length, 1);
});
