/** One chat completion through the gateway, streamed or whole, as a sequence of states. */
import { ApiError, currentProject, errorFrom } from "../api/client.ts";
import { readEvents } from "./sse.ts";

export interface ToolCall {
  id: string;
  name: string;
  arguments: string;
}

/** A request body as the OpenAI chat completions API takes it. */
export interface Call {
  model: string;
  messages: object[];
  tools?: unknown[];
  temperature?: number;
  max_tokens?: number;
  top_p?: number;
  seed?: number;
  stop?: string[];
  stream: boolean;
}

export interface CallOptions {
  /** A value for `cache-control`: `no-cache` asks the provider again, `no-store` keeps nothing either. */
  cache?: string;
}

/** What the gateway says of a call in its answer's headers. */
export interface Said {
  traceId: string | null;
  requestId: string | null;
  route: string | null;
  arm: string | null;
  target: string | null;
  attempts: number | null;
  costUsd: number | null;
  cache: string | null;
  age: number | null;
  similarity: number | null;
}

export interface Answer {
  text: string;
  reasoning: string;
  tools: ToolCall[];
  finish: string | null;
  inputTokens: number | null;
  outputTokens: number | null;
  cachedTokens: number | null;
  firstMs: number | null;
  totalMs: number | null;
  said: Said;
}

interface Piece {
  content?: string | null;
  reasoning_content?: string | null;
  refusal?: string | null;
  tool_calls?: { index?: number; id?: string; function?: { name?: string; arguments?: string } }[] | null;
}

export interface Chunk {
  error?: { message?: string; code?: string | number | null };
  choices?: { delta?: Piece; message?: Piece; finish_reason?: string | null }[];
  usage?: { prompt_tokens?: number; completion_tokens?: number; prompt_tokens_details?: { cached_tokens?: number } | null } | null;
}

/** A call that failed, with what the gateway had said of it by then. */
export class CallError extends ApiError {
  readonly said: Said;
  constructor(error: ApiError, said: Said) {
    super(error.status, error.message, error.hint, error.requestId, error.code);
    this.said = said;
  }
}

export function saidIn(headers: Headers): Said {
  const number = (name: string) => {
    const text = headers.get(name);
    return text === null || text === "" || Number.isNaN(Number(text)) ? null : Number(text);
  };
  return {
    traceId: headers.get("x-penstock-trace-id"),
    requestId: headers.get("x-request-id"),
    route: headers.get("x-penstock-route"),
    arm: headers.get("x-penstock-arm"),
    target: headers.get("x-penstock-target"),
    attempts: number("x-penstock-attempts"),
    costUsd: number("x-penstock-cost-usd"),
    cache: headers.get("x-penstock-cache"),
    age: number("age"),
    similarity: number("x-penstock-cache-similarity"),
  };
}

/** Take a chunk, or a whole answer, in; whether it held something of the answer itself. */
export function absorb(answer: Answer, chunk: Chunk): boolean {
  const choice = chunk.choices?.[0];
  const piece = choice?.delta ?? choice?.message;
  const text = piece?.content ?? piece?.refusal ?? "";
  const thought = piece?.reasoning_content ?? "";
  answer.text += text;
  answer.reasoning += thought;
  const tools = [...answer.tools];
  for (const [n, part] of (piece?.tool_calls ?? []).entries()) {
    const at = part.index ?? n;
    const old = tools[at] ?? { id: "", name: "", arguments: "" };
    tools[at] = { id: part.id ?? old.id, name: old.name + (part.function?.name ?? ""), arguments: old.arguments + (part.function?.arguments ?? "") };
  }
  answer.tools = tools;
  if (choice?.finish_reason) answer.finish = choice.finish_reason;
  if (chunk.usage) {
    answer.inputTokens = chunk.usage.prompt_tokens ?? null;
    answer.outputTokens = chunk.usage.completion_tokens ?? null;
    answer.cachedTokens = chunk.usage.prompt_tokens_details?.cached_tokens ?? null;
  }
  return !!(text || thought || piece?.tool_calls?.length);
}

/** The assistant's message of an answer, to go on from. */
export function messageOf(answer: Answer): { role: string; content: string; tool_calls?: object[] } {
  const calls = answer.tools.map((t) => ({ id: t.id, type: "function", function: { name: t.name, arguments: t.arguments } }));
  return { role: "assistant", content: answer.text, ...(calls.length ? { tool_calls: calls } : {}) };
}

/** The body as it is sent; a stream asks for its usage. */
export function bodyOf(call: Call): Record<string, unknown> {
  const body: Record<string, unknown> = Object.fromEntries(Object.entries(call).filter(([, value]) => value !== undefined && !(Array.isArray(value) && value.length === 0)));
  return call.stream ? { ...body, stream_options: { include_usage: true } } : (delete body.stream, body);
}

export async function* run(call: Call, options: CallOptions, signal: AbortSignal): AsyncGenerator<Answer> {
  const started = performance.now();
  const response = await fetch("/v1/chat/completions", {
    method: "POST",
    headers: { "content-type": "application/json", "x-penstock-project": currentProject(), ...(options.cache ? { "cache-control": options.cache } : {}) },
    body: JSON.stringify(bodyOf(call)),
    signal,
    credentials: "same-origin",
  });
  const said = saidIn(response.headers);
  if (!response.ok || !response.body) throw new CallError(await errorFrom(response), said);
  const answer: Answer = { text: "", reasoning: "", tools: [], finish: null, inputTokens: null, outputTokens: null, cachedTokens: null, firstMs: null, totalMs: null, said };
  const take = (chunk: Chunk) => {
    if (chunk.error) throw new CallError(new ApiError(response.status, chunk.error.message ?? "The stream ended with an error.", "", said.requestId ?? "", String(chunk.error.code ?? "")), said);
    if (absorb(answer, chunk) && call.stream) answer.firstMs ??= performance.now() - started;
  };
  yield { ...answer };
  if (!(response.headers.get("content-type") ?? "").includes("event-stream")) take((await response.json()) as Chunk);
  else
    for await (const event of readEvents(response.body)) {
      if (event.data === "[DONE]") break;
      take(JSON.parse(event.data) as Chunk);
      yield { ...answer };
    }
  answer.totalMs = performance.now() - started;
  yield { ...answer };
}

const HOLE = "psk_YOUR_KEY";
const quoted = (text: string) => `'${text.replaceAll("'", `'\\''`)}'`;

/** A value as Python writes it. */
export function python(value: unknown, indent = ""): string {
  const inner = `${indent}    `;
  if (value === null || value === undefined) return "None";
  if (value === true) return "True";
  if (value === false) return "False";
  if (Array.isArray(value)) return value.length ? `[\n${value.map((v) => `${inner}${python(v, inner)},\n`).join("")}${indent}]` : "[]";
  if (typeof value === "object") {
    const items = Object.entries(value);
    return items.length ? `{\n${items.map(([k, v]) => `${inner}${JSON.stringify(k)}: ${python(v, inner)},\n`).join("")}${indent}}` : "{}";
  }
  return JSON.stringify(value);
}

/** The call as a program: `curl`, or Python with the openai package. */
export function program(kind: "curl" | "python", base: string, call: Call, options: CallOptions): string {
  const body = bodyOf(call);
  if (kind === "curl") {
    const cache = options.cache ? ` \\\n  -H "Cache-Control: ${options.cache}"` : "";
    return `curl ${call.stream ? "-N " : ""}${base}/v1/chat/completions \\\n  -H "Authorization: Bearer ${HOLE}" \\\n  -H "Content-Type: application/json"${cache} \\\n  -d ${quoted(JSON.stringify(body, null, 2))}`;
  }
  const given = Object.entries(body).map(([name, value]) => `    ${name}=${python(value, "    ")},\n`);
  if (options.cache) given.push(`    extra_headers={"Cache-Control": ${JSON.stringify(options.cache)}},\n`);
  const made = `from openai import OpenAI\n\nclient = OpenAI(base_url="${base}/v1", api_key="${HOLE}")\nanswer = client.chat.completions.create(\n${given.join("")})\n`;
  return made + (call.stream ? `for chunk in answer:\n    if chunk.choices and chunk.choices[0].delta.content:\n        print(chunk.choices[0].delta.content, end="", flush=True)\n` : "print(answer.choices[0].message.content)\n");
}

/** Tools from their JSON source; throws an Error that says what is wrong. */
export function toolsOf(source: string): unknown[] | undefined {
  if (!source.trim()) return undefined;
  let found: unknown;
  try {
    found = JSON.parse(source);
  } catch (error) {
    throw new Error(`Not JSON: ${(error as Error).message}`);
  }
  if (!Array.isArray(found)) throw new Error("Tools are a list: [ { \"type\": \"function\", … } ]");
  if (found.some((t) => !t || typeof t !== "object" || typeof (t as { type?: unknown }).type !== "string")) throw new Error('Each tool needs a "type", usually "function".');
  return found;
}
