import { useMemo } from "react";
import { path } from "../api/client.ts";
import type { Page, TrainingRun, TrainingSearch } from "../api/types.ts";
import { Badge, Card, Code, PageHead, Table, Tabs, When } from "../components/bits.tsx";
import { More } from "../components/more.tsx";
import { SearchField } from "../components/searchfield.tsx";
import { Hosted } from "../components/training/hosted.tsx";
import { Empty, Failure, Loading, Ready } from "../components/state.tsx";
import { figure, full, ms } from "../lib/format.ts";
import { A, useGo, useSearch } from "../lib/nav.tsx";
import { useGet, usePages } from "../lib/query.ts";
import { busy, labelsOf, number, planOf } from "../lib/runs.ts";
import { between } from "../lib/time.ts";
import "../loop.css";

const STATES = ["queued", "running", "paused", "succeeded", "failed", "cancelled"];
const MOST = 8;

const ids = (text: string | undefined) => (text ?? "").split(",").filter(Boolean);

/** How far a run is: a bar while it goes, its loss at the end. */
function Progress({ run }: { run: TrainingRun }) {
  const step = number(run.progress.step);
  const steps = number(run.progress.steps);
  if (!busy(run.state) && run.state !== "paused") return <>{ms(between(run.started_at, run.ended_at))}</>;
  if (step === null || !steps) return <span className="muted" title={typeof run.progress.reason === "string" ? run.progress.reason : undefined}>{String(run.progress.stage ?? "waits")}</span>;
  return (
    <span className="row step-bar">
      <progress aria-label={`${run.name}: steps`} max={steps} value={step} />
      <span className="muted">{Math.round((step / steps) * 100)} %</span>
    </span>
  );
}

function Runs() {
  const go = useGo();
  const [search, patch] = useSearch();
  const { state = "", q = "", search: of = "" } = search;
  const runs = usePages<Page<TrainingRun>>("/training/runs", { state, query: q, search: of }, { every: 2_500 });
  const picked = ids(search.picked);
  const toggle = (id: string) => patch({ picked: (picked.includes(id) ? picked.filter((x) => x !== id) : [...picked, id].slice(-MOST)).join(",") }, { replace: true });
  const items = useMemo(() => runs.data?.pages.flatMap((p) => p.items) ?? [], [runs.data]);
  const names = labelsOf(items);
  const labels = new Map(items.map((r, i) => [r.id, names[i]]));
  if (runs.error && !runs.data) return <Failure error={runs.error} again={() => void runs.refetch()} />;
  if (!runs.data) return <Loading />;
  const filtered = !!(state || q || of);
  if (!items.length && !filtered)
    return (
      <Empty title="No training runs yet">
        <p className="muted">A run is a short recipe; it works in its own process and registers a model version at the end.</p>
        <p>
          <A className="button primary" href="/training/new">
            Start from a recipe
          </A>
        </p>
        <Code label="Snippet" text={`penstock train recipes\npenstock train run recipe.yaml`} />
      </Empty>
    );
  return (
    <>
      <div className="filters">
        <SearchField label="Search runs" placeholder="Name, model, dataset or note" value={q} onSearch={(wanted) => patch({ q: wanted })} />
        <select aria-label="State" value={state} onChange={(e) => patch({ state: e.target.value })}>
          <option value="">Every state</option>
          {STATES.map((s) => (
            <option key={s}>{s}</option>
          ))}
        </select>
        {of && (
          <button type="button" className="chip" onClick={() => patch({ search: undefined })}>
            of search {of} ×
          </button>
        )}
        <button type="button" className="button" disabled={picked.length < 2} onClick={() => go(`/training/compare?ids=${picked.join(",")}`)}>
          {picked.length < 2 ? "Tick runs to compare" : `Compare ${picked.length} runs`}
        </button>
      </div>
      {items.length ? (
        <Card flush>
          <Table
            label="Training runs"
            rows={items}
            keyOf={(r) => r.id}
            columns={[
              { head: "Compare", cell: (r) => <input type="checkbox" aria-label={`Compare ${labels.get(r.id)}`} checked={picked.includes(r.id)} onChange={() => toggle(r.id)} /> },
              { head: "Run", cell: (r) => <A href={path`/training/${r.id}`}>{r.name}</A> },
              { head: "State", cell: (r) => <Badge value={r.state} /> },
              { head: "Method", cell: (r) => r.method },
              { head: "Base", cell: (r) => r.base || "–" },
              { head: "Dataset", cell: (r) => r.dataset || "–" },
              { head: "Model", cell: (r) => r.model ?? "–" },
              { head: "Loss", cell: (r) => figure(number(r.progress.loss) ?? r.metrics.loss ?? r.metrics.train_loss), num: true },
              { head: "Took", cell: (r) => <Progress run={r} />, num: true },
              { head: "Started", cell: (r) => <When at={r.started_at ?? r.created_at} /> },
            ]}
          />
          <More query={runs} of="runs" />
        </Card>
      ) : (
        <Empty title="No run is like that">
          <button type="button" className="button" onClick={() => patch({ q: undefined, state: undefined, search: undefined })}>
            Show all runs
          </button>
        </Empty>
      )}
    </>
  );
}

function Searches() {
  const searches = useGet<Page<TrainingSearch>>("/training/searches", undefined, { every: (d) => (d?.items.some((s) => busy(s.state)) ? 3_000 : 15_000) });
  return (
    <Ready query={searches}>
      {(page) =>
        page.items.length ? (
          <Card flush>
            <Table
              label="Searches"
              rows={page.items}
              keyOf={(s) => s.id}
              columns={[
                { head: "Search", cell: (s) => <A href={path`/training/searches/${s.id}`}>{String(planOf(s).recipe.name ?? s.id)}</A> },
                { head: "State", cell: (s) => <Badge value={s.state} /> },
                { head: "Looks for", cell: (s) => planOf(s).objectives.map((o) => `${o.direction === "maximize" ? "most" : "least"} ${o.metric.replace(/_/g, " ")}`).join(", ") },
                { head: "Sampler", cell: (s) => [planOf(s).sampler.name, planOf(s).pruner.name].filter((n) => n !== "none").join(" · ") },
                { head: "Trials", cell: (s) => full(planOf(s).trials), num: true },
                { head: "Not beaten", cell: (s) => s.pareto.map((n) => `trial ${n}`).slice(0, 4).join(", ") || "–" },
                { head: "By", cell: (s) => s.author },
                { head: "Started", cell: (s) => <When at={s.created_at} /> },
              ]}
            />
          </Card>
        ) : (
          <Empty title="No searches yet">
            <p className="muted">A search tries a recipe with other parameters, keeps what is best by every objective, and says which parameter matters.</p>
            <p>
              <A className="button primary" href="/training/new?search=1">
                Start a search
              </A>
            </p>
          </Empty>
        )
      }
    </Ready>
  );
}

export default function Training() {
  const [search] = useSearch();
  const tab = search.tab ?? "runs";
  return (
    <div className="page">
      <PageHead title="Training">
        <A className="button" href="/experiments">
          Runs of other trainers
        </A>
        <A className="button" href="/training/new?search=1">
          Start a search
        </A>
        <A className="button primary" href="/training/new">
          Start a run
        </A>
      </PageHead>
      <Tabs
        label="Training views"
        current={tab}
        hrefOf={(k) => (k === "runs" ? "/training" : `/training?tab=${k}`)}
        items={[
          ["runs", "Runs"],
          ["searches", "Searches"],
          ["hosted", "At providers"],
        ]}
      />
      {tab === "searches" ? <Searches /> : tab === "hosted" ? <Hosted /> : <Runs />}
    </div>
  );
}
