import { useMemo, useState } from "react";
import { useParams } from "@tanstack/react-router";
import { api, path } from "../api/client.ts";
import type { Change, Message, Page, Prompt, PromptBody, PromptVersion, Rendered } from "../api/types.ts";
import { Card, Code, Dialog, Facts, Field, PageHead, Tabs, When } from "../components/bits.tsx";
import { Messages } from "../components/messages.tsx";
import { Ready } from "../components/state.tsx";
import { A, useSearch } from "../lib/nav.tsx";
import { useAct, useGet } from "../lib/query.ts";
import { Labels } from "./prompts.tsx";

const variable = /\{\{-?\s*([A-Za-z_]\w*)/g;

/** Names to ask for: the declared ones, else those that the template mentions. */
function names(body: PromptBody): string[] {
  if (body.variables.length) return body.variables.map((v) => v.name);
  const text = body.kind === "text" ? body.text : JSON.stringify(body.messages);
  return [...new Set([...text.matchAll(variable)].map((m) => m[1]!))];
}

function Render({ name, version }: { name: string; version: PromptVersion }) {
  const wanted = names(version.body);
  const [values, setValues] = useState<Record<string, string>>({});
  const run = useAct(() => api.post<Rendered>(path`/prompts/${name}/render`, { version: version.number, variables: Object.fromEntries(wanted.filter((w) => values[w] !== undefined).map((w) => [w, values[w]])) }));
  return (
    <form
      className="columns"
      onSubmit={(e) => {
        e.preventDefault();
        run.mutate(undefined);
      }}
    >
      <Card title="Variables">
        {wanted.length === 0 && <p className="muted">This version takes no variables.</p>}
        {wanted.map((w) => (
          <Field key={w} label={w} hint={version.body.variables.find((v) => v.name === w)?.description}>
            {(id) => <textarea id={id} rows={2} value={values[w] ?? ""} onChange={(e) => setValues({ ...values, [w]: e.target.value })} />}
          </Field>
        ))}
        <div className="actions">
          <button type="submit" className="button primary" disabled={run.isPending}>
            Render
          </button>
          <A className="button" href={`/playground?prompt=${encodeURIComponent(name)}&version=${version.number}`}>
            Open in the playground
          </A>
        </div>
      </Card>
      <Card title="Result">
        {run.error ? (
          <div className="note bad" role="alert">
            {run.error.message} {run.error.hint}
          </div>
        ) : run.data ? (
          <Messages body={run.data.kind === "chat" ? run.data.messages : run.data.text} label="Rendered prompt" />
        ) : (
          <p className="muted">Fill in the variables and press Render.</p>
        )}
      </Card>
    </form>
  );
}

function Diff({ name, from, to }: { name: string; from: number; to: number }) {
  const changes = useGet<Change[]>(path`/prompts/${name}/diff`, { from, to });
  return (
    <Ready query={changes} rows={4}>
      {(list) =>
        list.length === 0 ? (
          <p className="muted">
            Version {from} and version {to} say the same.
          </p>
        ) : (
          list.map((change) => (
            <Card key={change.field} title={change.field}>
              <div className="diff">
                {change.pieces.map((p, i) => (p.op === "equal" ? <span key={i}>{p.text}</span> : p.op === "insert" ? <ins key={i}>{p.text}</ins> : <del key={i}>{p.text}</del>))}
              </div>
            </Card>
          ))
        )
      }
    </Ready>
  );
}

function NewVersion({ name, base, open, onClose }: { name: string; base: PromptBody; open: boolean; onClose: () => void }) {
  const [, patch] = useSearch();
  const [text, setText] = useState(base.text);
  const [messages, setMessages] = useState<Message[]>(base.messages);
  const [note, setNote] = useState("");
  const save = useAct(
    () => api.post<PromptVersion>(path`/prompts/${name}/versions`, { ...base, text, messages, note }),
    (made) => {
      patch({ version: String(made.number), edit: undefined, tab: undefined });
      return `Version ${made.number} is saved`;
    },
  );
  return (
    <Dialog open={open} onClose={onClose} title={`New version of ${name}`} wide>
      <form
        onSubmit={(e) => {
          e.preventDefault();
          save.mutate(undefined);
        }}
      >
        {base.kind === "text" ? (
          <Field label="Text">{(id) => <textarea id={id} className="mono" rows={14} value={text} onChange={(e) => setText(e.target.value)} />}</Field>
        ) : (
          <>
            {messages.map((m, i) => (
              <Field key={i} label={`Message ${i + 1}: ${m.role}`}>
                {(id) => (
                  <textarea id={id} className="mono" rows={5} value={typeof m.content === "string" ? m.content : JSON.stringify(m.content)} onChange={(e) => setMessages(messages.map((old, n) => (n === i ? { ...old, content: e.target.value } : old)))} />
                )}
              </Field>
            ))}
            <p>
              <button type="button" className="button small" onClick={() => setMessages([...messages, { role: "user", content: "" }])}>
                Add a message
              </button>
            </p>
          </>
        )}
        <Field label="What changed">{(id) => <input id={id} value={note} onChange={(e) => setNote(e.target.value)} />}</Field>
        <div className="actions">
          <button className="button primary" type="submit" disabled={save.isPending}>
            Save version
          </button>
        </div>
      </form>
    </Dialog>
  );
}

function Versions({ prompt, versions }: { prompt: Prompt; versions: PromptVersion[] }) {
  const [search, patch] = useSearch();
  const chosen = versions.find((v) => String(v.number) === search.version) ?? versions[0];
  const [label, setLabel] = useState("production");
  const move = useAct((v: { label: string; version: number }) => api.put(path`/prompts/${prompt.name}/labels/${v.label}`, { version: v.version }), (_r, v) => `${v.label} now points at version ${v.version}`);
  const tab = search.tab ?? "text";
  const against = Number(search.against ?? (chosen ? chosen.number - 1 : 0));
  const rest = useMemo(() => versions.filter((v) => v.number !== chosen?.number), [versions, chosen]);
  if (!chosen) return <p className="muted pad">This prompt has no versions yet.</p>;
  const here = (patchTo: Record<string, string>) => `/prompts/${encodeURIComponent(prompt.name)}?${new URLSearchParams({ version: String(chosen.number), ...patchTo })}`;
  return (
    <div className="master">
      <nav className="master-list" aria-label="Versions">
        {versions.map((v) => (
          <A key={v.number} href={`/prompts/${encodeURIComponent(prompt.name)}?version=${v.number}`} aria-current={v === chosen ? "true" : undefined}>
            <span className="row">
              <b>Version {v.number}</b>
              <Labels labels={prompt.labels} version={v.number} />
            </span>
            <span className="muted ellipsis">{v.note || "no note"}</span>
            <span className="muted">
              <When at={v.created_at} /> · {v.author}
            </span>
          </A>
        ))}
      </nav>
      <div className="master-body">
        <Tabs
          label="Version views"
          current={tab}
          hrefOf={(key) => here(key === "text" ? {} : { tab: key })}
          items={[
            ["text", "Template"],
            ["render", "Render"],
            ["diff", "Compare"],
            ["use", "Use it"],
          ]}
        />
        {tab === "text" && (
          <Card
            title={`Version ${chosen.number}`}
            actions={
              <form
                className="row"
                onSubmit={(e) => {
                  e.preventDefault();
                  move.mutate({ label, version: chosen.number });
                }}
              >
                <input aria-label="Label" size={12} value={label} required onChange={(e) => setLabel(e.target.value)} />
                <button type="submit" className="button small" disabled={move.isPending}>
                  Point label here
                </button>
              </form>
            }
          >
            {chosen.body.kind === "chat" ? <Messages body={chosen.body.messages} label="Template" /> : <Code text={chosen.body.text} label="Template" />}
            <Facts items={[["Reference", chosen.ref], ["Note", chosen.note], ["Hash", <span className="mono">{chosen.hash.slice(0, 16)}</span>], ["Settings", Object.keys(chosen.body.settings).length ? JSON.stringify(chosen.body.settings) : null]]} />
          </Card>
        )}
        {tab === "render" && <Render key={chosen.number} name={prompt.name} version={chosen} />}
        {tab === "diff" &&
          (rest.length === 0 ? (
            <p className="muted">There is only one version.</p>
          ) : (
            <>
              <p className="row">
                <label>
                  Compare with{" "}
                  <select value={String(against)} onChange={(e) => patch({ against: e.target.value })}>
                    {rest.map((v) => (
                      <option key={v.number} value={v.number}>
                        Version {v.number}
                      </option>
                    ))}
                  </select>
                </label>
                <span className="muted">
                  <del>removed</del> <ins>added</ins> on the way to version {chosen.number}
                </span>
              </p>
              <Diff name={prompt.name} from={rest.some((v) => v.number === against) ? against : rest[0]!.number} to={chosen.number} />
            </>
          ))}
        {tab === "use" && (
          <Card title="From Python">
            <Code label="Snippet" text={`import penstock\n\nclient = penstock.Client(base_url="${window.location.origin}", api_key="psk_YOUR_KEY")\nprompt = client.prompts.get("${prompt.name}", label="production")\nprint(prompt.render(${names(chosen.body).map((n) => `${n}="…"`).join(", ")}))`} />
          </Card>
        )}
      </div>
      <NewVersion key={chosen.number} name={prompt.name} base={chosen.body} open={search.edit === "1"} onClose={() => patch({ edit: undefined }, { replace: true })} />
    </div>
  );
}

export default function PromptPage() {
  const { name = "" } = useParams({ strict: false }) as { name?: string };
  const [, patch] = useSearch();
  const prompt = useGet<Prompt>(path`/prompts/${name}`);
  const versions = useGet<Page<PromptVersion>>(path`/prompts/${name}/versions`, { limit: 200 });
  return (
    <div className="page">
      <PageHead title={name} crumbs={[["Prompts", "/prompts"]]} note={prompt.data && <span className="muted">{prompt.data.description}</span>}>
        <button type="button" className="button primary" disabled={!versions.data?.items.length} onClick={() => patch({ edit: "1" })}>
          New version
        </button>
      </PageHead>
      <Ready query={prompt}>{(p) => <Ready query={versions}>{(page) => <Versions prompt={p} versions={page.items} />}</Ready>}</Ready>
    </div>
  );
}
