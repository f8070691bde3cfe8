/** What the playground sends: messages, models, parameters, tools. */
import { useState } from "react";
import type { Message, Page } from "../../api/types.ts";
import { type Call, program } from "../../lib/chat.ts";
import { plainText } from "../../lib/messages.ts";
import type { Search, useSearch } from "../../lib/nav.tsx";
import { useGet } from "../../lib/query.ts";
import { Code, Dialog, Field } from "../bits.tsx";

export interface Turn {
  role: string;
  content: string;
  /** The message as it came, sent as long as its text is not changed: tool calls and attachments stay whole. */
  raw?: Message;
}

export const turnOf = (m: Message): Turn => ({ role: m.role, content: plainText(m), raw: m });

export function messagesOf(turns: Turn[]): object[] {
  return turns.map(({ role, content, raw }) => (raw && raw.role === role && plainText(raw) === content ? raw : { role, content }));
}

const OWN = "provider/";

/** A route, or any model of a provider as `provider/model`. */
export function Choice({ label, value, names, none, onPick }: { label: string; value: string; names: string[]; none?: string; onPick: (value: string) => void }) {
  const own = value !== "" && !names.includes(value);
  const providers = useGet<Page<{ name: string }>>("/providers", undefined, { enabled: own, staleTime: 30_000 });
  return (
    <>
      <Field label={label}>
        {(id) => (
          <select id={id} value={own ? OWN : value} onChange={(e) => onPick(e.target.value)}>
            {(none !== undefined || !names.length) && <option value="">{none ?? "none"}</option>}
            {names.length > 0 && (
              <optgroup label="Routes">
                {names.map((m) => (
                  <option key={m}>{m}</option>
                ))}
              </optgroup>
            )}
            <option value={OWN}>provider/model…</option>
          </select>
        )}
      </Field>
      {own && (
        <Field label={none === undefined ? "Provider and name" : `${label}: provider and name`}>
          {(id) => (
            <>
              <input id={id} className="mono" list={`${id}-providers`} placeholder="openai/gpt-4o-mini" value={value} onChange={(e) => onPick(e.target.value || OWN)} />
              <datalist id={`${id}-providers`}>
                {(providers.data?.items ?? []).map((p) => (
                  <option key={p.name} value={`${p.name}/`} />
                ))}
              </datalist>
            </>
          )}
        </Field>
      )}
    </>
  );
}

export const NUMBERS: [key: string, label: string, min: number, max: number, step: number | "any"][] = [
  ["temperature", "Temperature", 0, 2, "any"],
  ["top_p", "Top p", 0, 1, "any"],
  ["max_tokens", "Max tokens", 1, 1_000_000, 1],
  ["seed", "Seed", 0, 2_147_483_647, 1],
];

const CACHING: [value: string, label: string][] = [
  ["", "as the route says"],
  ["no-cache", "ask anew, keep the answer"],
  ["no-store", "neither look nor keep"],
];

export function Settings({ search, patch }: { search: Search; patch: ReturnType<typeof useSearch>[1] }) {
  const set = (key: string) => (e: { target: { value: string } }) => patch({ [key]: e.target.value }, { replace: true });
  return (
    <div className="fields">
      {NUMBERS.map(([key, label, min, max, step]) => (
        <Field key={key} label={label}>
          {(id) => <input id={id} type="number" min={min} max={max} step={step} placeholder="default" value={search[key] ?? ""} onChange={set(key)} />}
        </Field>
      ))}
      <Field label="Stop at">{(id) => <input id={id} placeholder="nothing" value={search.stop ?? ""} onChange={set("stop")} />}</Field>
      <Field label="Cache">
        {(id) => (
          <select id={id} value={search.cache ?? ""} onChange={set("cache")}>
            {CACHING.map(([value, label]) => (
              <option key={value} value={value}>
                {label}
              </option>
            ))}
          </select>
        )}
      </Field>
      <Field label="Answer">
        {(id) => (
          <select id={id} value={search.stream ?? ""} onChange={set("stream")}>
            <option value="">streamed</option>
            <option value="0">whole</option>
          </select>
        )}
      </Field>
    </div>
  );
}

const ROLES = ["system", "user", "assistant"];

export function Turns({ turns, onChange }: { turns: Turn[]; onChange: (turns: Turn[]) => void }) {
  const put = (i: number, change: Partial<Turn>) => onChange(turns.map((o, n) => (n === i ? { ...o, ...change } : o)));
  return (
    <>
      <ol className="turns">
        {turns.map((t, i) => (
          <li key={i}>
            <div className="row">
              <select aria-label={`Role of message ${i + 1}`} value={t.role} onChange={(e) => put(i, { role: e.target.value })}>
                {[...ROLES, ...(ROLES.includes(t.role) ? [] : [t.role])].map((r) => (
                  <option key={r}>{r}</option>
                ))}
              </select>
              {turns.length > 1 && (
                <button type="button" className="button small push" onClick={() => onChange(turns.filter((_, n) => n !== i))}>
                  Remove
                </button>
              )}
            </div>
            <textarea aria-label={`Message ${i + 1}`} rows={i === turns.length - 1 ? 6 : 3} value={t.content} onChange={(e) => put(i, { content: e.target.value })} />
          </li>
        ))}
      </ol>
      <span className="row">
        <button type="button" className="button small" onClick={() => onChange([...turns, { role: turns[turns.length - 1]?.role === "user" ? "assistant" : "user", content: "" }])}>
          Add a message
        </button>
        {turns[0]?.role !== "system" && (
          <button type="button" className="button small" onClick={() => onChange([{ role: "system", content: "" }, ...turns])}>
            Add a system prompt
          </button>
        )}
      </span>
    </>
  );
}

export function Tools({ source, problem, onChange }: { source: string; problem: string; onChange: (source: string) => void }) {
  return (
    <details className="more" open={!!source || undefined}>
      <summary>Tools</summary>
      <Field label="Tools (JSON)" hint={problem ? <span className="bad-ink">{problem}</span> : "A list, as in the OpenAI API; calls are shown, not made."}>
        {(id) => (
          <textarea
            id={id}
            className="mono"
            rows={5}
            aria-invalid={!!problem}
            placeholder={'[{"type": "function", "function": {"name": "find_order", "parameters": {"type": "object", "properties": {}}}}]'}
            value={source}
            onChange={(e) => onChange(e.target.value)}
          />
        )}
      </Field>
    </details>
  );
}

export function Program({ call, cache, open, onClose }: { call: Call; cache: string | undefined; open: boolean; onClose: () => void }) {
  const [kind, setKind] = useState<"curl" | "python">("curl");
  return (
    <Dialog open={open} onClose={onClose} title="This call from your code" wide>
      <div className="segments" role="group" aria-label="Client">
        {(["curl", "python"] as const).map((id) => (
          <button key={id} type="button" aria-pressed={kind === id} onClick={() => setKind(id)}>
            {id === "python" ? "openai-python" : id}
          </button>
        ))}
      </div>
      <div className="spaced">
        <Code text={program(kind, window.location.origin, call, { cache })} label="Program" />
      </div>
    </Dialog>
  );
}
