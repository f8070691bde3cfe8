/** A prompt's next version: template, variables, tools, output schema and the model's settings. */
import { useMemo, useState } from "react";
import { api, path } from "../../api/client.ts";
import type { Message, PromptBody, PromptVersion, Variable } from "../../api/types.ts";
import { jsonOf, TYPES, variablesOf } from "../../lib/prompts.ts";
import { useAct } from "../../lib/query.ts";
import { Field } from "../bits.tsx";

const ROLES = ["system", "developer", "user", "assistant", "tool"];
const plain = (m: Message): m is Message & { content: string } => typeof m.content === "string" && "role" in m;

function Template({ body, onChange }: { body: PromptBody; onChange: (change: Partial<PromptBody>) => void }) {
  if (body.kind === "text")
    return (
      <Field label="Text" hint="Jinja: {{ variable }}, {% if … %}, {% for … %}">
        {(id) => <textarea id={id} className="mono" rows={12} value={body.text} onChange={(e) => onChange({ text: e.target.value })} />}
      </Field>
    );
  const put = (i: number, m: Message) => onChange({ messages: body.messages.map((old, n) => (n === i ? m : old)) });
  return (
    <>
      {body.messages.map((m, i) => (
        <div key={i} className="field">
          <div className="row">
            {plain(m) ? (
              <select aria-label={`Role of message ${i + 1}`} value={m.role} onChange={(e) => put(i, { ...m, role: e.target.value })}>
                {ROLES.map((r) => (
                  <option key={r}>{r}</option>
                ))}
              </select>
            ) : (
              <b className="small">{`Message ${i + 1}`}</b>
            )}
            {body.messages.length > 1 && (
              <button type="button" className="button small push" aria-label={`Remove message ${i + 1}`} onClick={() => onChange({ messages: body.messages.filter((_, n) => n !== i) })}>
                Remove
              </button>
            )}
          </div>
          {plain(m) ? (
            <textarea aria-label={`Message ${i + 1}`} className="mono spaced" rows={5} value={m.content} onChange={(e) => put(i, { ...m, content: e.target.value })} />
          ) : (
            <Json label={`Message ${i + 1}`} value={m} onChange={(value) => put(i, value as Message)} />
          )}
        </div>
      ))}
      <p className="row">
        <button type="button" className="button small" onClick={() => onChange({ messages: [...body.messages, { role: "user", content: "" }] })}>
          Add a message
        </button>
        <button type="button" className="button small" onClick={() => onChange({ messages: [...body.messages, { placeholder: "history" } as unknown as Message] })}>
          Add a list of messages
        </button>
        <button type="button" className="button small" onClick={() => onChange({ messages: [...body.messages, { include: "other-prompt@production" } as unknown as Message] })}>
          Include another prompt
        </button>
      </p>
    </>
  );
}

/** A message that is more than a role and a text: parts with images, a placeholder, an include. */
function Json({ label, value, onChange }: { label: string; value: unknown; onChange: (value: unknown) => void }) {
  const [source, setSource] = useState(JSON.stringify(value, null, 2));
  const [problem, setProblem] = useState("");
  return (
    <>
      <textarea
        aria-label={label}
        aria-invalid={!!problem}
        className="mono spaced"
        rows={Math.min(10, source.split("\n").length + 1)}
        value={source}
        onChange={(e) => {
          setSource(e.target.value);
          try {
            onChange(jsonOf(label, e.target.value, "object"));
            setProblem("");
          } catch (error) {
            setProblem((error as Error).message);
          }
        }}
      />
      {problem && <div className="hint bad-ink">{problem}</div>}
    </>
  );
}

function Variables({ list, onChange }: { list: Variable[]; onChange: (list: Variable[]) => void }) {
  if (!list.length) return <p className="muted">The template mentions none.</p>;
  const put = (i: number, change: Partial<Variable>) => onChange(list.map((v, n) => (n === i ? { ...v, ...change } : v)));
  return (
    <ul className="variables">
      {list.map((v, i) => (
        <li key={v.name} className="row">
          <b className="mono">{v.name}</b>
          <select aria-label={`Type of ${v.name}`} value={v.type} onChange={(e) => put(i, { type: e.target.value })}>
            {TYPES.map((t) => (
              <option key={t}>{t}</option>
            ))}
          </select>
          <label className="row">
            <input type="checkbox" checked={v.required} onChange={(e) => put(i, { required: e.target.checked })} /> needed
          </label>
          {v.type === "string" && !v.required && <input aria-label={`Default of ${v.name}`} placeholder="default" value={typeof v.default === "string" ? v.default : ""} onChange={(e) => put(i, { default: e.target.value || null })} />}
          <input className="grow" aria-label={`Description of ${v.name}`} placeholder="what it is" value={v.description} onChange={(e) => put(i, { description: e.target.value })} />
        </li>
      ))}
    </ul>
  );
}

const indent = (value: unknown): string => (value == null || (Array.isArray(value) && !value.length) || (typeof value === "object" && !Object.keys(value).length) ? "" : JSON.stringify(value, null, 2));

const FIELDS: [key: "tools" | "output_schema" | "settings", label: string, kind: "list" | "object", example: string][] = [
  ["settings", "Model settings (JSON)", "object", '{"model": "support", "temperature": 0.2, "max_tokens": 400}'],
  ["tools", "Tools (JSON)", "list", '[{"type": "function", "function": {"name": "find_order", "parameters": {"type": "object"}}}]'],
  ["output_schema", "Output schema (JSON)", "object", '{"type": "object", "properties": {"category": {"type": "string"}}}'],
];

export function NewVersion({ name, base, done }: { name: string; base: PromptBody; done: (number: number) => void }) {
  const [body, setBody] = useState(base);
  const [note, setNote] = useState("");
  const [sources, setSources] = useState(() => Object.fromEntries(FIELDS.map(([key]) => [key, indent(base[key])])));
  const [problem, setProblem] = useState("");
  const variables = useMemo(() => {
    // A variable that the template no longer mentions goes; its type and description stay while it is there.
    const mentionedNow = new Set(variablesOf({ ...body, variables: [] }).map((v) => v.name));
    return variablesOf({ ...body, variables: body.variables.filter((v) => mentionedNow.has(v.name) || base.variables.some((b) => b.name === v.name)) });
  }, [body, base]);
  const save = useAct(
    (made: object) => api.post<PromptVersion>(path`/prompts/${name}/versions`, made),
    (made) => {
      done(made.number);
      return `Version ${made.number} is saved`;
    },
    { quiet: true },
  );
  const submit = () => {
    try {
      const read = Object.fromEntries(FIELDS.map(([key, label, kind]) => [key, jsonOf(label, sources[key] ?? "", kind) ?? (key === "tools" ? [] : key === "settings" ? {} : null)]));
      setProblem("");
      save.mutate({ kind: body.kind, ...(body.kind === "text" ? { text: body.text } : { messages: body.messages }), variables, ...read, note });
    } catch (error) {
      setProblem((error as Error).message);
    }
  };
  return (
    <form
      onSubmit={(e) => {
        e.preventDefault();
        submit();
      }}
    >
      <Template body={body} onChange={(change) => setBody({ ...body, ...change })} />
      <h3>Variables</h3>
      <Variables list={variables} onChange={(list) => setBody({ ...body, variables: list })} />
      <details className="more" open={FIELDS.some(([key]) => sources[key]) || undefined}>
        <summary>Model settings, tools, output schema</summary>
        {FIELDS.map(([key, label, , example]) => (
          <Field key={key} label={label}>
            {(id) => <textarea id={id} className="mono" rows={3} placeholder={example} value={sources[key]} onChange={(e) => setSources({ ...sources, [key]: e.target.value })} />}
          </Field>
        ))}
      </details>
      <Field label="What changed">{(id) => <input id={id} value={note} onChange={(e) => setNote(e.target.value)} />}</Field>
      {(problem || save.error) && (
        <div className="note bad" role="alert">
          {problem || `${save.error!.message} ${save.error!.hint}`}
        </div>
      )}
      <div className="actions">
        <button className="button primary" type="submit" disabled={save.isPending}>
          Save version
        </button>
      </div>
    </form>
  );
}
