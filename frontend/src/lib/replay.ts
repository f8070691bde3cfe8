/** Recorded model calls as calls that can be made again. */
import type { SpanDetail } from "../api/types.ts";
import type { Call } from "./chat.ts";

type Json = Record<string, unknown>;
const record = (v: unknown): Json | null => (v && typeof v === "object" && !Array.isArray(v) ? (v as Json) : null);

/** The text of a message's content, in the shapes of OpenAI, Anthropic and OpenTelemetry. */
function textOf(content: unknown): string {
  if (typeof content === "string") return content;
  if (Array.isArray(content)) return content.map(textOf).filter(Boolean).join("\n");
  const o = record(content);
  if (!o) return "";
  if (typeof o.text === "string") return o.text;
  if (o.type === "text" && typeof o.content === "string") return o.content;
  return o.role ? textOf(o.content ?? o.parts) : "";
}

/** A guardrail may have put a word such as `[REFUSED]` in the messages' place. */
const listIn = (v: unknown) => (Array.isArray(v) ? v : undefined);

/** The messages a call was asked with; null when the body holds none. */
export function promptOf(input: unknown): { role: string; content: unknown }[] | null {
  if (typeof input === "string") return input ? [{ role: "user", content: input }] : null;
  const body = record(input);
  const list = Array.isArray(input) ? input : (listIn(body?.messages) ?? listIn(body?.contents) ?? body?.input ?? body?.prompt);
  const system = textOf(body?.system ?? body?.instructions ?? record(body?.systemInstruction ?? body?.system_instruction)?.parts);
  const first = system ? [{ role: "system", content: system }] : [];
  if (typeof list === "string") return list ? [...first, { role: "user", content: list }] : null;
  if (!Array.isArray(list)) return null;
  const found = list.map(record).filter((m): m is Json => !!m && typeof m.role === "string");
  if (!found.length) return null;
  return [...first, ...found.map(({ parts, ...m }) => ({ ...m, role: m.role === "model" ? "assistant" : String(m.role), content: m.content ?? (parts === undefined ? null : textOf(parts)) }))];
}

const SETTINGS = ["temperature", "top_p", "max_tokens", "seed"] as const;

/** A recorded call as one that can be made again, without messages when they were not kept; null for what is no call. */
export function callOf(span: SpanDetail): Call | null {
  const messages = promptOf(span.input) ?? [];
  if (!messages.length && span.kind !== "llm") return null;
  const body = record(span.input);
  const call: Call = { model: span.requested_model ?? (typeof body?.model === "string" ? body.model : null) ?? span.model ?? "", messages, stream: body?.stream === true };
  if (Array.isArray(body?.tools) && body.tools.length) call.tools = body.tools;
  for (const name of SETTINGS) {
    const given = body?.[name] ?? span.parameters?.[name];
    if (typeof given === "number") call[name] = given;
  }
  if (Array.isArray(body?.stop)) call.stop = body.stop.map(String);
  else if (typeof body?.stop === "string") call.stop = [body.stop];
  return call;
}
