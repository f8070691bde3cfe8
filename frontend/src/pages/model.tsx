import { useState } from "react";
import { useParams } from "@tanstack/react-router";
import { api, path } from "../api/client.ts";
import type { ModelDetail, ModelVersionDetail } from "../api/types.ts";
import { Badge, Card, Facts, PageHead, Table, Tabs, When } from "../components/bits.tsx";
import { hrefOf, LineageGraph } from "../components/lineage.tsx";
import { Markdown } from "../components/markdown.tsx";
import { Empty, Ready } from "../components/state.tsx";
import { bytes, figure } from "../lib/format.ts";
import { A, useSearch } from "../lib/nav.tsx";
import { useAct, useGet } from "../lib/query.ts";
import { Labels } from "./prompts.tsx";

/** A metric as it was registered: a number, or a value with its interval; anything else is shown as it is. */
function shown(v: unknown): string {
  if (typeof v === "number") return figure(v);
  const o = v as { value?: unknown; low?: unknown; high?: unknown } | null;
  if (o && typeof o.value === "number") return `${figure(o.value)}${typeof o.low === "number" && typeof o.high === "number" ? ` (${figure(o.low)} to ${figure(o.high)})` : ""}`;
  return typeof v === "string" ? v : JSON.stringify(v);
}

function Version({ name, number }: { name: string; number: number }) {
  const [search] = useSearch();
  const tab = search.tab ?? "card";
  const version = useGet<ModelVersionDetail>(path`/models/${name}/versions/${number}`, undefined, { staleTime: 10_000 });
  const [alias, setAlias] = useState("production");
  const point = useAct(() => api.put(path`/models/${name}/aliases/${alias}`, { version: number }), () => `${alias} now points at version ${number}`);
  return (
    <div className="master-body">
      <Tabs
        label="Version views"
        current={tab}
        hrefOf={(k) => `${path`/models/${name}`}?${new URLSearchParams({ version: String(number), ...(k === "card" ? {} : { tab: k }) })}`}
        items={[
          ["card", "Card"],
          ["files", "Files"],
          ["lineage", "Lineage"],
        ]}
      />
      <Ready query={version}>
        {(v) => (
          <>
            <Card
              title={`${name}@${number}`}
              actions={
                <form
                  className="row"
                  onSubmit={(e) => {
                    e.preventDefault();
                    point.mutate(undefined);
                  }}
                >
                  <input aria-label="Alias" size={12} required value={alias} onChange={(e) => setAlias(e.target.value)} />
                  <button type="submit" className="button small" disabled={point.isPending}>
                    Point alias here
                  </button>
                </form>
              }
            >
              <Facts
                items={[
                  ["Kind", v.kind],
                  ["Base", v.base && <A href={hrefOf("model_version", v.base) ?? "/models"}>{v.base}</A>],
                  ["Stage", v.stage],
                  ["Size", bytes(v.size)],
                  ["By", v.author],
                  ["Registered", <When at={v.created_at} />],
                  ...Object.entries(v.metrics).slice(0, 12).map(([k, m]): [string, string] => [k.replace(/_/g, " "), shown(m)]),
                ]}
              />
            </Card>
            {tab === "card" && <Card>{v.card ? <Markdown source={v.card} /> : <p className="muted">This version has no card.</p>}</Card>}
            {tab === "files" && (
              <Card flush>
                <Table
                  label="Files"
                  rows={v.files}
                  keyOf={(f) => f.path}
                  columns={[
                    { head: "File", cell: (f) => f.path, mono: true },
                    { head: "Size", cell: (f) => bytes(f.size), num: true },
                    { head: "SHA-256", cell: (f) => <span title={f.sha256}>{f.sha256}</span>, mono: true },
                  ]}
                />
              </Card>
            )}
            {tab === "lineage" && (
              <Card title="Lineage" flush>
                <LineageGraph kind="model_version" reference={`${name}@${number}`} />
              </Card>
            )}
          </>
        )}
      </Ready>
    </div>
  );
}

export default function ModelPage() {
  const { name = "" } = useParams({ strict: false }) as { name?: string };
  const [search] = useSearch();
  const model = useGet<ModelDetail>(path`/models/${name}`);
  return (
    <div className="page">
      <PageHead title={name} crumbs={[["Models", "/models"]]} />
      <Ready query={model}>
        {(m) => {
          const list = [...m.items].sort((a, b) => b.number - a.number);
          if (!list[0]) return <Empty title="This model has no versions yet" />;
          const number = Number(search.version ?? list[0].number);
          return (
            <div className="master">
              <nav className="master-list" aria-label="Versions">
                {list.map((v) => (
                  <A key={v.number} href={`${path`/models/${name}`}?version=${v.number}`} aria-current={v.number === number ? "true" : undefined}>
                    <span className="row">
                      <b>Version {v.number}</b>
                      <Labels labels={m.aliases} version={v.number} />
                    </span>
                    <span className="row">
                      <Badge value={v.kind} tone="plain" />
                      <span className="muted">
                        <When at={v.created_at} />
                      </span>
                    </span>
                  </A>
                ))}
              </nav>
              <Version key={number} name={name} number={number} />
            </div>
          );
        }}
      </Ready>
    </div>
  );
}
