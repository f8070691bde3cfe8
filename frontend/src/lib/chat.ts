/** One streamed chat completion through the gateway, as a sequence of states. */
import { currentProject, errorFrom } from "../api/client.ts";
import { readEvents } from "./sse.ts";

export interface Call {
  model: string;
  messages: { role: string; content: string }[];
  temperature?: number;
  max_tokens?: number;
  top_p?: number;
}

export interface Answer {
  text: string;
  reasoning: string;
  finish: string | null;
  inputTokens: number | null;
  outputTokens: number | null;
  firstMs: number | null;
  totalMs: number | null;
  traceId: string | null;
}

interface Chunk {
  error?: { message?: string };
  choices?: { delta?: { content?: string | null; reasoning_content?: string | null }; finish_reason?: string | null }[];
  usage?: { prompt_tokens?: number; completion_tokens?: number } | null;
}

export async function* stream(call: Call, signal: AbortSignal): AsyncGenerator<Answer> {
  const started = performance.now();
  const response = await fetch("/v1/chat/completions", {
    method: "POST",
    headers: { "content-type": "application/json", "x-penstock-project": currentProject() },
    body: JSON.stringify({ ...call, stream: true, stream_options: { include_usage: true } }),
    signal,
    credentials: "same-origin",
  });
  if (!response.ok || !response.body) throw await errorFrom(response);
  const answer: Answer = { text: "", reasoning: "", finish: null, inputTokens: null, outputTokens: null, firstMs: null, totalMs: null, traceId: response.headers.get("x-penstock-trace-id") };
  yield { ...answer };
  for await (const event of readEvents(response.body)) {
    if (event.data === "[DONE]") break;
    const chunk = JSON.parse(event.data) as Chunk;
    if (chunk.error) throw new Error(chunk.error.message ?? "The stream ended with an error.");
    const choice = chunk.choices?.[0];
    const piece = choice?.delta?.content ?? "";
    const thought = choice?.delta?.reasoning_content ?? "";
    if ((piece || thought) && answer.firstMs === null) answer.firstMs = performance.now() - started;
    answer.text += piece;
    answer.reasoning += thought;
    if (choice?.finish_reason) answer.finish = choice.finish_reason;
    if (chunk.usage) {
      answer.inputTokens = chunk.usage.prompt_tokens ?? null;
      answer.outputTokens = chunk.usage.completion_tokens ?? null;
    }
    yield { ...answer };
  }
  answer.totalMs = performance.now() - started;
  yield answer;
}
