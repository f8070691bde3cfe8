/** What went into a model and came out of it, in the dialects people send. */
import { useState } from "react";
import { Code } from "./bits.tsx";
import { bytes } from "../lib/format.ts";

type Json = unknown;
const record = (v: Json): Record<string, Json> | null => (v && typeof v === "object" && !Array.isArray(v) ? (v as Record<string, Json>) : null);

interface Shown {
  role: string;
  parts: { kind: "text" | "json" | "note"; text: string; title?: string }[];
}

function parts(content: Json): Shown["parts"] {
  if (content == null || content === "") return [];
  if (typeof content === "string") return [{ kind: "text", text: content }];
  if (Array.isArray(content)) return content.flatMap((piece) => parts(piece));
  const o = record(content);
  if (!o) return [{ kind: "text", text: String(content) }];
  if (typeof o.text === "string") return [{ kind: "text", text: o.text }];
  // OpenTelemetry's message parts (gen_ai.input.messages).
  if ((o.type === "text" || o.type === "reasoning") && typeof o.content === "string") return [{ kind: "text", title: o.type === "reasoning" ? "reasoning" : undefined, text: o.content }];
  if (o.type === "tool_call") return [{ kind: "json", title: `calls ${String(o.name)}`, text: typeof o.arguments === "string" ? pretty(o.arguments) : JSON.stringify(o.arguments, null, 2) }];
  if (o.type === "tool_call_response") return [{ kind: "note", title: "tool result", text: "" }, ...parts(o.response ?? o.result)];
  if (typeof o.thinking === "string") return [{ kind: "text", title: "thinking", text: o.thinking }];
  if (o.type === "tool_use") return [{ kind: "json", title: `calls ${String(o.name)}`, text: JSON.stringify(o.input, null, 2) }];
  if (o.type === "tool_result") return [{ kind: "note", title: "tool result", text: "" }, ...parts(o.content)];
  if (o.type === "image_url" || o.type === "image") return [{ kind: "note", text: "image", title: "attachment" }];
  return [{ kind: "json", text: JSON.stringify(o, null, 2) }];
}

function pretty(text: string): string {
  try {
    return JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    return text; // Arguments of a streamed or broken call need not be JSON: show them as they came.
  }
}

function message(v: Json): Shown | null {
  const o = record(v);
  if (!o || typeof o.role !== "string") return null;
  const shown: Shown = { role: o.role, parts: parts(o.content ?? o.parts) };
  if (typeof o.reasoning_content === "string" && o.reasoning_content) shown.parts.unshift({ kind: "text", title: "reasoning", text: o.reasoning_content });
  if (Array.isArray(o.tool_calls))
    for (const call of o.tool_calls) {
      const f = record(record(call)?.function);
      shown.parts.push({ kind: "json", title: `calls ${String(f?.name ?? "a tool")}`, text: pretty(String(f?.arguments ?? "")) });
    }
  return shown;
}

/** Messages found in a request or answer body, or null when it is something else. */
export function messagesOf(body: Json): Shown[] | null {
  if (typeof body === "string") return null;
  if (Array.isArray(body)) {
    const all = body.map(message);
    return all.length && all.every((m) => m) ? (all as Shown[]) : null;
  }
  const o = record(body);
  if (!o) return null;
  if (Array.isArray(o.messages)) {
    const all = o.messages.map(message);
    if (!all.length || !all.every((m) => m)) return null;
    const system = parts(o.system);
    return system.length ? [{ role: "system", parts: system }, ...(all as Shown[])] : (all as Shown[]);
  }
  if (Array.isArray(o.choices)) {
    const all = o.choices.map((c) => message(record(c)?.message) ?? (typeof record(c)?.text === "string" ? { role: "assistant", parts: parts(record(c)!.text) } : null));
    return all.length && all.every((m) => m) ? (all as Shown[]) : null;
  }
  const one = message(o);
  return one ? [one] : null;
}

/** A message as plain text, to be edited and sent again. */
export function plainText(v: Json): string {
  const shown = message(v);
  return shown ? shown.parts.map((p) => p.text).filter(Boolean).join("\n") : "";
}

const LIMIT = 6000;

function Long({ text, mono }: { text: string; mono?: boolean }) {
  const [all, setAll] = useState(false);
  const cut = !all && text.length > LIMIT;
  return (
    <>
      <div className={mono ? "message-text mono" : "message-text"}>{cut ? text.slice(0, LIMIT) : text}</div>
      {cut && (
        <button type="button" className="button small" onClick={() => setAll(true)}>
          Show all ({bytes(text.length)})
        </button>
      )}
    </>
  );
}

export function Messages({ body, label }: { body: Json; label: string }) {
  const found = messagesOf(body);
  if (found)
    return (
      <ol className="messages" aria-label={label}>
        {found.map((m, i) => (
          <li key={i} className={`message ${m.role}`}>
            <div className="message-role">{m.role}</div>
            {m.parts.length === 0 && <div className="muted">(empty)</div>}
            {m.parts.map((p, n) => (
              <div key={n}>
                {p.title && <div className="message-title">{p.title}</div>}
                {p.text && <Long text={p.text} mono={p.kind === "json"} />}
              </div>
            ))}
          </li>
        ))}
      </ol>
    );
  if (typeof body === "string") return <div className="message"><Long text={body} /></div>;
  return <Code text={JSON.stringify(body, null, 2)} label={label} max={420} />;
}
