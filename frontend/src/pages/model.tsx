import { useState } from "react";
import { useParams } from "@tanstack/react-router";
import { api, path } from "../api/client.ts";
import type { ModelDetail, ModelVersionDetail } from "../api/types.ts";
import { Badge, Card, Facts, PageHead, Tabs, When } from "../components/bits.tsx";
import { hrefOf } from "../components/lineage.tsx";
import { LineageMapCard } from "../components/lineagemap.tsx";
import { CardEditor, Files, Papers } from "../components/models/papers.tsx";
import { Stage } from "../components/models/stages.tsx";
import { Variants } from "../components/models/variants.tsx";
import { Empty, Ready } from "../components/state.tsx";
import { bytes } from "../lib/format.ts";
import { A, useSearch } from "../lib/nav.tsx";
import { useAct, useGet } from "../lib/query.ts";
import { scanOf, shown, tagsOf } from "../lib/registry.ts";
import { title } from "../lib/runs.ts";
import { Labels } from "./prompts.tsx";
import "../loop.css";

function Alias({ name, number }: { name: string; number: number }) {
  const [alias, setAlias] = useState("production");
  const point = useAct(() => api.put(path`/models/${name}/aliases/${alias}`, { version: number }), () => `${alias} now points at version ${number}`);
  return (
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
  );
}

function Head({ version: v }: { version: ModelVersionDetail }) {
  const scan = scanOf(v.scan);
  return (
    <Card title={v.ref} actions={
        <>
          <A className="button small" href={`/deployments?new=1&model=${encodeURIComponent(v.ref)}`}>
            Deploy
          </A>
          <Alias name={v.model} number={v.number} />
        </>
      }>
      <Facts
        items={[
          ["Kind", v.kind],
          ["Base", v.base && <A href={hrefOf("model_version", v.base) ?? "/models"}>{v.base}</A>],
          ["Stage", <Badge value={v.stage} tone={v.stage === "production" ? "good" : v.stage === "staging" ? "wait" : "plain"} />],
          ["Licence", v.licence || null],
          ["Scan", scan && <Badge value={scan.safe ? "safe" : "can run code"} tone={scan.safe ? "good" : "bad"} />],
          ["Size", bytes(v.size)],
          ["By", v.author],
          ["Registered", <When at={v.created_at} />],
          ...Object.entries(v.metrics).slice(0, 12).map(([k, m]): [string, string] => [title(k), shown(m)]),
        ]}
      />
    </Card>
  );
}

function Version({ name, number }: { name: string; number: number }) {
  const [search] = useSearch();
  const tab = search.tab ?? "card";
  const version = useGet<ModelVersionDetail>(path`/models/${name}/versions/${number}`, undefined, { staleTime: 10_000 });
  return (
    <div className="master-body">
      <Tabs
        label="Version views"
        current={tab}
        hrefOf={(k) => `${path`/models/${name}`}?${new URLSearchParams({ version: String(number), ...(k === "card" ? {} : { tab: k }) })}`}
        items={[
          ["card", "Card"],
          ["papers", "Papers"],
          ["files", "Files"],
          ["stage", "Stage"],
          ["variants", "Variants"],
          ["lineage", "Lineage"],
        ]}
      />
      <Ready query={version}>
        {(v) => (
          <>
            <Head version={v} />
            {tab === "card" && <CardEditor version={v} />}
            {tab === "papers" && <Papers version={v} />}
            {tab === "files" && <Files version={v} />}
            {tab === "stage" && <Stage version={v} />}
            {tab === "variants" && <Variants version={v.ref} />}
            {tab === "lineage" && <LineageMapCard url={path`/models/${name}/versions/${number}/lineage`} kind="model_version" reference={v.ref} />}
          </>
        )}
      </Ready>
    </div>
  );
}

function Tags({ model }: { model: ModelDetail }) {
  const [adding, setAdding] = useState("");
  const add = useAct((tag: string) => api.put(path`/models/${model.name}/tags/${tag}`), () => {
    setAdding("");
    return "Tag added";
  });
  const drop = useAct((tag: string) => api.del(path`/models/${model.name}/tags/${tag}`), "Tag removed");
  return (
    <span className="row model-tags">
      {tagsOf(model).map((t) => (
        <span key={t} className="badge plain">
          <A href={`/models?tag=${encodeURIComponent(t)}`}>{t}</A>
          <button type="button" className="link tag-drop" aria-label={`Remove tag ${t}`} disabled={drop.isPending} onClick={() => drop.mutate(t)}>
            ×
          </button>
        </span>
      ))}
      <form
        onSubmit={(e) => {
          e.preventDefault();
          if (adding.trim()) add.mutate(adding.trim());
        }}
      >
        <input className="tag-add" aria-label="Add a tag" placeholder="add a tag" size={9} value={adding} onChange={(e) => setAdding(e.target.value)} />
      </form>
    </span>
  );
}

export default function ModelPage() {
  const { name = "" } = useParams({ strict: false }) as { name?: string };
  const [search] = useSearch();
  const model = useGet<ModelDetail>(path`/models/${name}`);
  return (
    <div className="page">
      <PageHead title={name} crumbs={[["Models", "/models"]]} note={model.data && <Tags model={model.data} />} />
      <Ready query={model}>
        {(m) => {
          const list = [...m.items].sort((a, b) => b.number - a.number);
          if (!list[0]) return <Empty title="This model has no versions yet" />;
          const number = Number(search.version ?? list[0].number);
          return (
            <div className="master">
              <nav className="master-list" aria-label="Versions">
                {list.map((v) => (
                  <A key={v.number} href={`${path`/models/${name}`}?${new URLSearchParams({ version: String(v.number), ...(search.tab ? { tab: search.tab } : {}) })}`} aria-current={v.number === number ? "true" : undefined}>
                    <span className="row">
                      <b>Version {v.number}</b>
                      <Labels labels={m.aliases} version={v.number} />
                    </span>
                    <span className="row">
                      <Badge value={v.kind} tone="plain" />
                      {v.stage !== "development" && <Badge value={v.stage} tone={v.stage === "production" ? "good" : "plain"} />}
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
