import { useState } from "react";
import { api } from "../api/client.ts";
import type { Page, Prompt, PromptVersion } from "../api/types.ts";
import { Card, Code, Dialog, Field, PageHead, Table, When } from "../components/bits.tsx";
import { Empty, Ready } from "../components/state.tsx";
import { A, useGo, useSearch } from "../lib/nav.tsx";
import { useAct, useGet } from "../lib/query.ts";
import { path } from "../api/client.ts";

export function Labels({ labels, version }: { labels: Record<string, number>; version?: number }) {
  return (
    <span className="labels">
      {Object.entries(labels)
        .filter(([, n]) => version === undefined || n === version)
        .map(([label, n]) => (
          <span key={label} className="badge plain">
            {label}
            {version === undefined ? ` ${n}` : ""}
          </span>
        ))}
    </span>
  );
}

export default function Prompts() {
  const [search, patch] = useSearch();
  const go = useGo();
  const prompts = useGet<Page<Prompt>>("/prompts", { query: search.q, tag: search.tag }, { keep: true });
  const [name, setName] = useState("");
  const [text, setText] = useState("");
  const open = search.new === "1";
  const close = () => patch({ new: undefined }, { replace: true });
  const make = useAct(
    () => api.post<PromptVersion>(path`/prompts/${name}/versions`, { kind: "text", text, note: "First version" }),
    () => {
      go(`/prompts/${encodeURIComponent(name)}`);
    },
  );
  return (
    <div className="page">
      <PageHead title="Prompts">
        <input type="search" aria-label="Search prompts" placeholder="Search" defaultValue={search.q ?? ""} onChange={(e) => patch({ q: e.target.value }, { replace: true })} />
        {search.tag && (
          <button type="button" className="button small" onClick={() => patch({ tag: undefined })}>
            {`tag: ${search.tag} ×`}
          </button>
        )}
        <A href="/prompts?new=1" className="button primary">
          New prompt
        </A>
      </PageHead>
      <Ready query={prompts}>
        {(page) =>
          page.items.length ? (
            <Card flush>
              <Table
                label="Prompts"
                rows={page.items}
                keyOf={(p) => p.name}
                columns={[
                  { head: "Name", cell: (p) => <A href={path`/prompts/${p.name}`}>{p.name}</A> },
                  { head: "Description", cell: (p) => <span className="muted">{p.description}</span> },
                  {
                    head: "Tags",
                    cell: (p) => (
                      <span className="labels">
                        {p.tags.map((t) => (
                          <A key={t} className="badge plain" href={`/prompts?tag=${encodeURIComponent(t)}`}>
                            {t}
                          </A>
                        ))}
                      </span>
                    ),
                  },
                  { head: "Labels", cell: (p) => <Labels labels={p.labels} /> },
                  { head: "Versions", cell: (p) => p.versions, num: true },
                  { head: "Created", cell: (p) => <When at={p.created_at} /> },
                ]}
              />
            </Card>
          ) : search.q || search.tag ? (
            <Empty title={search.q ? `No prompt has “${search.q}” in its name, description, tags or newest version` : `No prompt has the tag “${search.tag}”`} />
          ) : (
            <Empty title="No prompts yet">
              <p className="muted">A prompt is text with variables, kept in immutable versions; labels such as “production” point at one of them.</p>
              <Code
                label="Snippet"
                text={`curl ${window.location.origin}/api/v1/prompts/greeting/versions \\\n  -H "Authorization: Bearer psk_YOUR_KEY" -H "Content-Type: application/json" \\\n  -d '{"kind": "text", "text": "Say hello to {{ name }}."}'`}
              />
            </Empty>
          )
        }
      </Ready>
      <Dialog open={open} onClose={close} title="New prompt">
        <form
          onSubmit={(e) => {
            e.preventDefault();
            make.mutate(undefined);
          }}
        >
          <Field label="Name" hint="Lower-case letters, digits, dots, dashes and underscores">
            {(id) => <input id={id} value={name} required autoFocus onChange={(e) => setName(e.target.value)} />}
          </Field>
          <Field label="Text" hint="Jinja: {{ variable }}">
            {(id) => <textarea id={id} rows={8} required value={text} onChange={(e) => setText(e.target.value)} />}
          </Field>
          <div className="actions">
            <button className="button primary" type="submit" disabled={make.isPending}>
              Create
            </button>
          </div>
        </form>
      </Dialog>
    </div>
  );
}
