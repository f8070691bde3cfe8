import { useMemo } from "react";
import { api, path } from "../api/client.ts";
import type { Model, Page, StageRequest, StageRule } from "../api/types.ts";
import { Badge, Card, Code, Dialog, PageHead, Table, Tabs, When } from "../components/bits.tsx";
import { ImportForm } from "../components/models/importform.tsx";
import { RuleForm } from "../components/models/ruleform.tsx";
import { Requests } from "../components/models/stages.tsx";
import { More } from "../components/more.tsx";
import { SearchField } from "../components/searchfield.tsx";
import { Empty, Failure, Loading, Ready } from "../components/state.tsx";
import { A, useSearch } from "../lib/nav.tsx";
import { useAct, useGet, usePages } from "../lib/query.ts";
import { ruleText, STAGES, tagsOf } from "../lib/registry.ts";
import { Labels } from "./prompts.tsx";
import "../loop.css";

const KINDS = ["base", "adapter", "merged", "gguf", "onnx", "ctranslate2", "tensorrt", "mlflow"];

function List() {
  const [search, patch] = useSearch();
  const { q = "", kind = "", stage = "", tag = "" } = search;
  const models = usePages<Page<Model>>("/models", { query: q, kind, stage, tag }, { every: 5_000 });
  const items = useMemo(() => models.data?.pages.flatMap((p) => p.items) ?? [], [models.data]);
  if (models.error && !models.data) return <Failure error={models.error} again={() => void models.refetch()} />;
  if (!models.data) return <Loading />;
  const filtered = !!(q || kind || stage || tag);
  if (!items.length && !filtered)
    return (
      <Empty title="No models yet">
        <p className="muted">A training run registers its result here, with checksums, a card and its lineage.</p>
        <Code label="Snippet" text={`penstock train run recipe.yaml\npenstock models list`} />
      </Empty>
    );
  return (
    <>
      <div className="filters">
        <SearchField label="Search models" placeholder="Name or description" value={q} onSearch={(wanted) => patch({ q: wanted })} />
        <select aria-label="Kind" value={kind} onChange={(e) => patch({ kind: e.target.value })}>
          <option value="">Every kind</option>
          {KINDS.map((k) => (
            <option key={k}>{k}</option>
          ))}
        </select>
        <select aria-label="Stage" value={stage} onChange={(e) => patch({ stage: e.target.value })}>
          <option value="">Every stage</option>
          {STAGES.map((s) => (
            <option key={s}>{s}</option>
          ))}
        </select>
        {tag && (
          <button type="button" className="chip" onClick={() => patch({ tag: undefined })}>
            tag {tag} ×
          </button>
        )}
      </div>
      {items.length ? (
        <Card flush>
          <Table
            label="Models"
            rows={items}
            keyOf={(m) => m.name}
            columns={[
              { head: "Name", cell: (m) => <A href={path`/models/${m.name}`}>{m.name}</A> },
              { head: "Aliases", cell: (m) => <Labels labels={m.aliases} /> },
              {
                head: "Tags",
                cell: (m) => (
                  <span className="labels">
                    {tagsOf(m).map((t) => (
                      <A key={t} className="badge plain" href={`/models?tag=${encodeURIComponent(t)}`}>
                        {t}
                      </A>
                    ))}
                  </span>
                ),
              },
              { head: "Description", cell: (m) => <span className="muted">{m.description}</span> },
              { head: "Versions", cell: (m) => m.versions, num: true },
              { head: "Made", cell: (m) => <When at={m.created_at} /> },
            ]}
          />
          <More query={models} of="models" />
        </Card>
      ) : (
        <Empty title="No model is like that">
          <button type="button" className="button" onClick={() => patch({ q: undefined, kind: undefined, stage: undefined, tag: undefined })}>
            Show all models
          </button>
        </Empty>
      )}
    </>
  );
}

/** The rules of stages: one sentence each, and a form for each. */
function Rules() {
  const [search, patch] = useSearch();
  const rules = useGet<Page<StageRule>>("/models/stages");
  const close = () => patch({ rule: undefined }, { replace: true });
  const drop = useAct((items: StageRule[]) => api.put("/models/stages", { items }), "The rule is gone");
  const at = search.rule === "new" ? -1 : Number(search.rule ?? Number.NaN);
  return (
    <Ready query={rules}>
      {(page) => (
        <Card
          title="What a move takes"
          flush
          actions={
            <button type="button" className="button small" onClick={() => patch({ rule: "new" })}>
              Add a rule
            </button>
          }
        >
          {page.items.length ? (
            <Table
              label="Rules"
              rows={page.items}
              keyOf={(r) => `${r.model} ${r.stage}`}
              columns={[
                { head: "Into", cell: (r) => <Badge value={r.stage} /> },
                { head: "Models", cell: (r) => (r.model ? <A href={path`/models/${r.model}`}>{r.model}</A> : "all without their own") },
                { head: "Takes", cell: (r) => <span className="wrap sentence">{ruleText(r)}</span> },
                {
                  head: "Change",
                  cell: (r) => (
                    <span className="row">
                      <button type="button" className="button small" aria-label={`Change the rule for ${r.stage}${r.model ? ` of ${r.model}` : ""}`} onClick={() => patch({ rule: String(page.items.indexOf(r)) })}>
                        Change
                      </button>
                      <button type="button" className="button small" aria-label={`Remove the rule for ${r.stage}${r.model ? ` of ${r.model}` : ""}`} disabled={drop.isPending} onClick={() => drop.mutate(page.items.filter((x) => x !== r))}>
                        Remove
                      </button>
                    </span>
                  ),
                },
              ]}
            />
          ) : (
            <p className="muted pad">There are no rules: whoever may write models moves them freely.</p>
          )}
          <Dialog open={at === -1 || !!page.items[at]} onClose={close} title={at === -1 ? "A rule for a stage" : "Change a rule"} wide>
            <RuleForm key={at} rules={page.items} at={at} onDone={close} />
          </Dialog>
        </Card>
      )}
    </Ready>
  );
}

export default function Models() {
  const [search, patch] = useSearch();
  const tab = search.tab ?? "models";
  const waiting = useGet<Page<StageRequest>>("/models/requests", { state: "open" }, { every: 30_000 });
  const open = waiting.data?.items.length ?? 0;
  return (
    <div className="page">
      <PageHead title="Models">
        <button type="button" className="button" onClick={() => patch({ import: "1" })}>
          Import a model
        </button>
      </PageHead>
      <Tabs
        label="Model views"
        current={tab}
        hrefOf={(k) => (k === "models" ? "/models" : `/models?tab=${k}`)}
        items={[
          ["models", "Models"],
          ["requests", open ? `Waiting for approval (${open})` : "Waiting for approval"],
          ["rules", "Rules of stages"],
        ]}
      />
      {tab === "requests" ? <Requests /> : tab === "rules" ? <Rules /> : <List />}
      <Dialog open={search.import === "1"} onClose={() => patch({ import: undefined })} title="Import a model">
        <ImportForm onDone={() => patch({ import: undefined })} />
      </Dialog>
    </div>
  );
}
