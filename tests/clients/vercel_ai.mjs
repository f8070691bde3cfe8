// The Vercel AI SDK with its providers for OpenAI (responses, chat), OpenAI-compatible servers and Anthropic.
import { createAnthropic } from "@ai-sdk/anthropic";
import { createOpenAI } from "@ai-sdk/openai";
import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { embedMany, generateObject, generateText, stepCountIs, streamText, tool } from "ai";
import assert from "node:assert/strict";
import { z } from "zod";
import { Checks, TEXT } from "./checks.mjs";

const checks = new Checks("ai", "@ai-sdk/openai", "@ai-sdk/openai-compatible", "@ai-sdk/anthropic");
const settings = { baseURL: checks.v1, apiKey: checks.key };
const openai = createOpenAI(settings);
const sides = {
  responses: (model) => openai(model),
  chat: (model) => openai.chat(model),
  compatible: createOpenAICompatible({
    ...settings, name: "penstock", includeUsage: true, supportsStructuredOutputs: true,
  }),
  anthropic: createAnthropic(settings),
};
const weather = tool({
  description: "The weather.",
  inputSchema: z.object({ city: z.string() }),
  execute: async ({ city }) => `-4 in ${city}`,
});
const asked = { prompt: "How cold is Oslo?", maxRetries: 0 };

for (const [side, of] of Object.entries(sides)) {
  await checks.each(`${side}: generateText`, async (name) => {
    const made = await generateText({ model: of(name), ...asked });
    assert.equal(made.text, TEXT);
    assert.ok(made.usage.inputTokens && made.usage.outputTokens);
  });
  await checks.each(`${side}: streamText`, async (name) => {
    const failures = [];
    const made = streamText({ model: of(name), ...asked, onError: ({ error }) => failures.push(error) });
    let text = "";
    for await (const part of made.textStream) text += part;
    if (failures.length) throw failures[0];
    assert.equal(text, TEXT);
    assert.ok((await made.usage).outputTokens);
  });
  await checks.each(`${side}: tools`, async (name) => {
    const more = { tools: { weather }, stopWhen: stepCountIs(3) };
    const made = await generateText({ model: of(name), ...asked, ...more });
    assert.deepEqual([made.text, made.steps.length], [TEXT, 2]);
  });
  await checks.each(`${side}: streamed tools`, async (name) => {
    const more = { tools: { weather }, stopWhen: stepCountIs(3), onError: () => {} };
    const made = streamText({ model: of(name), ...asked, ...more });
    assert.equal(await made.text, TEXT);
  });
  await checks.each(`${side}: generateObject`, async (name) => {
    const made = await generateObject({ model: of(name), ...asked, schema: z.object({ city: z.string() }) });
    assert.deepEqual(made.object, { city: "Oslo" });
  });
  await checks.once(`${side}: 404`, async () => {
    await assert.rejects(generateText({ model: of("nothing"), ...asked }), { statusCode: 404 });
  });
  await checks.once(`${side}: 429`, async () => {
    await assert.rejects(generateText({ model: of("limited"), ...asked }), { statusCode: 429 });
  }, "limited");
}
for (const side of ["openai", "compatible"]) {
  const of = (name) => (side === "openai" ? openai.embeddingModel(name) : sides.compatible.embeddingModel(name));
  await checks.each(`${side}: embedMany`, async (name) => {
    const made = await embedMany({ model: of(name), values: ["a", "b"], maxRetries: 0 });
    assert.deepEqual(made.embeddings[1].slice(0, 3), [0.5, -1.5, 3]);
  }, ["embed-oa", "embed-ge"]);
}
checks.print();
