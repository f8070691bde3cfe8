/** What went into a model and came out of it, in the dialects people send, as messages with parts. */
type Json = unknown;

export interface Part {
  kind: "text" | "json" | "reasoning" | "image" | "note";
  text: string;
  title?: string;
}

export interface Shown {
  role: string;
  parts: Part[];
  /** The id of the call this message answers, when it is a tool's result. */
  answers?: string;
}

export const record = (v: Json): Record<string, Json> | null => (v && typeof v === "object" && !Array.isArray(v) ? (v as Record<string, Json>) : null);
const str = (v: Json): string => (typeof v === "string" ? v : v == null ? "" : JSON.stringify(v));

export function pretty(text: string): string {
  try {
    return JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    return text; // Arguments of a streamed or broken call need not be JSON: show them as they came.
  }
}

const asJson = (v: Json): string => (typeof v === "string" ? pretty(v) : JSON.stringify(v, null, 2));
const calls = (name: Json, given: Json): Part => ({ kind: "json", title: `calls ${str(name) || "a tool"}`, text: asJson(given ?? "") });

/** An image that the page may draw itself, or what is known of it. */
function image(o: Record<string, Json>): Part {
  const url = record(o.image_url)?.url ?? o.image_url ?? o.url ?? o.image;
  const source = record(o.source) ?? record(o.inlineData) ?? record(o.inline_data) ?? o;
  const kind = str(source.media_type ?? source.mimeType ?? source.mime_type);
  const data = source.data ?? (o.type === "blob" ? o.content : undefined);
  if (typeof url === "string" && url.startsWith("data:image/")) return { kind: "image", text: url };
  if (typeof data === "string" && kind.startsWith("image/") && /^[A-Za-z0-9+/=_-]+$/.test(data.slice(0, 200))) return { kind: "image", text: `data:${kind};base64,${data}` };
  if (typeof url === "string" || typeof source.url === "string") return { kind: "note", title: "image", text: str(url ?? source.url) };
  return { kind: "note", title: kind || "attachment", text: "" };
}

function result(inner: Json, name?: Json): Part[] {
  const found = parts(inner);
  return [{ kind: "note", title: name ? `result of ${str(name)}` : "tool result", text: "" }, ...found.map((p): Part => (p.kind === "text" && /^\s*[[{]/.test(p.text) ? { ...p, kind: "json", text: pretty(p.text) } : p))];
}

const IMAGES = new Set(["image_url", "image", "input_image", "blob", "uri"]);

function piece(o: Record<string, Json>): Part[] {
  const type = str(o.type);
  if (type === "reasoning" || type === "thinking" || o.thought === true || typeof o.thinking === "string") {
    const said = o.thinking ?? o.content ?? o.text ?? o.summary;
    return [{ kind: "reasoning", title: "reasoning", text: Array.isArray(said) ? said.map((s) => str(record(s)?.text ?? s)).join("\n") : str(said) }];
  }
  if (type === "tool_call" || type === "function_call" || type === "tool-call") return [calls(o.name ?? o.toolName, o.arguments ?? o.args ?? o.input)];
  if (type === "tool_use" || type === "server_tool_use") return [calls(o.name, o.input)];
  if (record(o.functionCall)) return [calls(record(o.functionCall)!.name, record(o.functionCall)!.args)];
  if (type === "tool_call_response") return result(o.response ?? o.result, o.name);
  if (type === "tool_result" || type === "tool-result") return result(o.content ?? o.result ?? o.output, o.toolName);
  if (type === "function_call_output") return result(o.output);
  if (record(o.functionResponse)) return result(record(o.functionResponse)!.response, record(o.functionResponse)!.name);
  if (typeof o.text === "string") return [{ kind: "text", text: o.text }];
  if (type === "text" && typeof o.content === "string") return [{ kind: "text", text: o.content }];
  if (type === "refusal" && typeof o.refusal === "string") return [{ kind: "text", title: "refusal", text: o.refusal }];
  if (IMAGES.has(type) || record(o.inlineData) || record(o.inline_data)) return [image(o)];
  return [{ kind: "json", text: JSON.stringify(o, null, 2) }];
}

export function parts(content: Json): Part[] {
  if (content == null || content === "") return [];
  if (typeof content === "string") return [{ kind: "text", text: content }];
  if (Array.isArray(content)) return content.flatMap((each) => parts(each));
  const o = record(content);
  return o ? piece(o) : [{ kind: "text", text: String(content) }];
}

const NAMES: Record<string, string> = { model: "assistant", human: "user", ai: "assistant", developer: "system" };

/** Items of the Responses API that are no messages of their own. */
const LOOSE = new Set(["reasoning", "function_call", "function_call_output"]);

export function message(v: Json): Shown | null {
  const o = record(v);
  if (!o) return null;
  if (typeof o.role !== "string") return LOOSE.has(str(o.type)) ? { role: o.type === "function_call_output" ? "tool" : "assistant", parts: piece(o) } : null;
  const shown: Shown = { role: NAMES[o.role] ?? o.role, parts: parts(o.content ?? o.parts) };
  if (typeof o.reasoning_content === "string" && o.reasoning_content) shown.parts.unshift({ kind: "reasoning", title: "reasoning", text: o.reasoning_content });
  if (typeof o.refusal === "string" && o.refusal) shown.parts.push({ kind: "text", title: "refusal", text: o.refusal });
  if (Array.isArray(o.tool_calls))
    for (const call of o.tool_calls) {
      const f = record(record(call)?.function) ?? record(call);
      shown.parts.push(calls(f?.name, f?.arguments ?? f?.args));
    }
  if (typeof o.tool_call_id === "string") shown.answers = o.tool_call_id;
  if (shown.role === "tool") shown.parts = shown.parts.map((p) => (p.kind === "text" && /^\s*[[{]/.test(p.text) ? { ...p, kind: "json", text: pretty(p.text) } : p));
  return shown;
}

function all(list: Json[]): Shown[] | null {
  const found = list.map(message);
  return found.length && found.every((m) => m) ? (found as Shown[]) : null;
}

/** Messages found in a request or answer body, or null when it is something else. */
export function messagesOf(body: Json): Shown[] | null {
  if (typeof body === "string") return null;
  if (Array.isArray(body)) return all(body);
  const o = record(body);
  if (!o) return null;
  const system = parts(o.system ?? o.instructions ?? record(o.systemInstruction ?? o.system_instruction)?.parts);
  const first: Shown[] = system.length ? [{ role: "system", parts: system }] : [];
  for (const name of ["messages", "contents", "input", "output"] as const) {
    const list = o[name];
    if (typeof list === "string" && name === "input" && typeof o.model === "string") return [...first, { role: "user", parts: parts(list) }];
    if (!Array.isArray(list) || !list.length) continue;
    const found = all(list);
    if (found) return [...first, ...found];
  }
  if (Array.isArray(o.choices)) {
    const found = o.choices.map((c) => message(record(c)?.message) ?? (typeof record(c)?.text === "string" ? { role: "assistant", parts: parts(record(c)!.text) } : null));
    return found.length && found.every((m) => m) ? (found as Shown[]) : null;
  }
  if (Array.isArray(o.candidates)) return all(o.candidates.map((c) => ({ role: "model", ...record(record(c)?.content) })));
  const one = message(o);
  return one ? [one] : null;
}

/** A message as plain text, to be edited and sent again. */
export function plainText(v: Json): string {
  const shown = message(v);
  return shown ? shown.parts.filter((p) => p.kind !== "image").map((p) => p.text).filter(Boolean).join("\n") : "";
}

/** Reasoning is not sent back to a model, so what is repeated lacks it. */
const spoken = (m: Shown) => JSON.stringify([m.role, m.parts.filter((p) => p.kind !== "reasoning")]);
const same = (a: Shown, b: Shown) => spoken(a) === spoken(b);

/** What of `next` was not said in `before` yet: a call repeats the conversation so far, and only its end is new. */
export function fresh(before: Shown[], next: Shown[]): Shown[] {
  let n = 0;
  while (n < before.length && n < next.length && same(before[n]!, next[n]!)) n++;
  // Another conversation begins anew.
  return n > 0 || before.length === 0 ? next.slice(n) : next;
}
