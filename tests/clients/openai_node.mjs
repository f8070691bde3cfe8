// openai, OpenAI's own client for Node.
import assert from "node:assert/strict";
import OpenAI from "openai";
import { CITY, Checks, TEXT } from "./checks.mjs";

const checks = new Checks("openai");
const client = new OpenAI({ baseURL: checks.v1, apiKey: checks.key, maxRetries: 0 });
const messages = [{ role: "user", content: "How cold is Oslo?" }];
const tools = [{ type: "function", function: { name: "weather", description: "The weather.", parameters: CITY } }];

await checks.each("chat", async (model) => {
  const made = await client.chat.completions.create({ model, messages });
  assert.deepEqual([made.choices[0].message.content, made.model], [TEXT, model]);
});
await checks.each("stream", async (model) => {
  let text = "";
  for await (const part of await client.chat.completions.create({ model, messages, stream: true })) {
    text += part.choices[0].delta.content ?? "";
  }
  assert.equal(text, TEXT);
});
await checks.each("tools", async (model) => {
  const { message } = (await client.chat.completions.create({ model, messages, tools })).choices[0];
  const [call] = message.tool_calls;
  assert.deepEqual(JSON.parse(call.function.arguments), { city: "Oslo" });
  const back = [...messages, message, { role: "tool", tool_call_id: call.id, content: "-4" }];
  const last = await client.chat.completions.create({ model, messages: back, tools });
  assert.equal(last.choices[0].message.content, TEXT);
});
await checks.each("structured", async (model) => {
  const response_format = { type: "json_schema", json_schema: { name: "city", schema: CITY, strict: true } };
  const made = await client.chat.completions.parse({ model, messages, response_format });
  assert.deepEqual(JSON.parse(made.choices[0].message.content), { city: "Oslo" });
});
await checks.each("responses", async (model) => {
  assert.equal((await client.responses.create({ model, input: "How cold is Oslo?" })).output_text, TEXT);
  const stream = client.responses.stream({ model, input: "How cold is Oslo?" });
  assert.equal((await stream.finalResponse()).output_text, TEXT);
});
await checks.each("embeddings", async (model) => {
  const made = await client.embeddings.create({ model, input: ["a", "b"] });
  assert.deepEqual(made.data[1].embedding.slice(0, 3), [0.5, -1.5, 3]);
}, ["embed-oa", "embed-ge"]);
await checks.once("401", async () => {
  const other = new OpenAI({ baseURL: checks.v1, apiKey: "psk_wrong", maxRetries: 0 });
  await assert.rejects(async () => await other.models.list(), { status: 401, code: "invalid_api_key" });
});
await checks.once("404", async () => {
  const call = async () => await client.chat.completions.create({ model: "nothing", messages });
  await assert.rejects(call, { status: 404, code: "model_not_found" });
});
await checks.once("429", async () => {
  const call = async () => await client.chat.completions.create({ model: "limited", messages });
  await assert.rejects(call, (error) => error.status === 429 && error.headers.get("retry-after") === "7");
}, "limited");
checks.print();
