import { path } from "../api/client.ts";
import type { Page, Pipeline, PipelineRun } from "../api/types.ts";
import { Badge, Card, Code, PageHead, Table, When } from "../components/bits.tsx";
import { More } from "../components/more.tsx";
import { StartPipeline } from "../components/startpipeline.tsx";
import { Empty, Failure, Loading } from "../components/state.tsx";
import { full, ms } from "../lib/format.ts";
import { A, useSearch } from "../lib/nav.tsx";
import { mishapOf, stepsOf } from "../lib/pipelines.ts";
import { usePages } from "../lib/query.ts";
import { between } from "../lib/time.ts";
import "../loop.css";

const STATES = ["waiting", "running", "succeeded", "failed", "cancelled"];

/** How far a run is, and what keeps it or ended it. */
function Standing({ run }: { run: PipelineRun }) {
  const steps = stepsOf(run);
  const at = steps.find((s) => s.state !== "succeeded");
  const mishap = mishapOf(run);
  return (
    <span className="sentence" title={run.reason ?? mishap ?? undefined}>
      {`${full(run.steps.length)} of ${full(steps.length)} steps`}
      {at && <span className="muted">{` · ${at.name}`}</span>}
      {(run.reason || mishap) && <span className={mishap ? "bad-ink" : "muted"}>{` · ${run.reason ?? mishap}`}</span>}
    </span>
  );
}

function Runs() {
  const [search, patch] = useSearch();
  const { pipeline = "", state = "" } = search;
  const runs = usePages<Page<PipelineRun>>("/pipelines/runs", { pipeline, state }, { every: 2_500 });
  const items = runs.data?.pages.flatMap((p) => p.items) ?? [];
  if (runs.error && !runs.data) return <Failure error={runs.error} again={() => void runs.refetch()} />;
  if (!runs.data) return <Loading />;
  return (
    <Card
      title={pipeline ? `Runs of ${pipeline}` : "Runs"}
      flush
      actions={
        <>
          {pipeline && (
            <button type="button" className="chip" onClick={() => patch({ pipeline: undefined })}>
              of {pipeline} ×
            </button>
          )}
          <select aria-label="State" value={state} onChange={(e) => patch({ state: e.target.value })}>
            <option value="">Every state</option>
            {STATES.map((s) => (
              <option key={s}>{s}</option>
            ))}
          </select>
        </>
      }
    >
      {items.length ? (
        <>
          <Table
            label="Runs of pipelines"
            rows={items}
            keyOf={(r) => r.id}
            columns={[
              { head: "Run", cell: (r) => <A href={path`/pipelines/runs/${r.id}`}>{`${r.pipeline} ${r.number}`}</A> },
              { head: "State", cell: (r) => <Badge value={r.state} /> },
              { head: "Steps", cell: (r) => <Standing run={r} /> },
              { head: "Took", cell: (r) => ms(between(r.created_at, r.ended_at)), num: true },
              { head: "Started", cell: (r) => <When at={r.created_at} /> },
            ]}
          />
          <More query={runs} of="runs" />
        </>
      ) : (
        <Empty title="No run is like that">
          <button type="button" className="button" onClick={() => patch({ pipeline: undefined, state: undefined })}>
            Show all runs
          </button>
        </Empty>
      )}
    </Card>
  );
}

export default function Pipelines() {
  const [search, patch] = useSearch();
  const found = usePages<Page<Pipeline>>("/pipelines", {}, { every: 5_000 });
  const items = found.data?.pages.flatMap((p) => p.items) ?? [];
  const chosen = items.find((p) => p.name === search.start) ?? null;
  return (
    <div className="page">
      <PageHead title="Pipelines">
        <button type="button" className="button primary" onClick={() => patch({ new: "1" })}>
          Start a pipeline
        </button>
      </PageHead>
      {found.error && !found.data ? (
        <Failure error={found.error} again={() => void found.refetch()} />
      ) : !found.data ? (
        <Loading />
      ) : items.length ? (
        <>
          <Card flush>
            <Table
              label="Pipelines"
              rows={items}
              keyOf={(p) => p.name}
              columns={[
                { head: "Pipeline", cell: (p) => <A href={`/pipelines?pipeline=${encodeURIComponent(p.name)}`}>{p.name}</A> },
                { head: "Newest run", cell: (p) => <A href={path`/pipelines/runs/${p.latest.id}`}>{`run ${p.latest.number}`}</A> },
                { head: "State", cell: (p) => <Badge value={p.latest.state} /> },
                { head: "Steps", cell: (p) => stepsOf(p.latest).map((s) => s.name).join(" → ") || "–" },
                { head: "Runs", cell: (p) => full(p.runs), num: true },
                { head: "Last started", cell: (p) => <When at={p.latest.created_at} /> },
                {
                  head: "Again",
                  cell: (p) =>
                    p.document ? (
                      <button type="button" className="button small" aria-label={`Start ${p.name}`} onClick={() => patch({ start: p.name })}>
                        Start
                      </button>
                    ) : (
                      "–"
                    ),
                },
              ]}
            />
            <More query={found} of="pipelines" />
          </Card>
          <Runs />
        </>
      ) : (
        <Empty title="No pipelines yet">
          <p className="muted">A pipeline is a list of steps in YAML: rows in, a model trained, judged by a gate, and put up as a candidate. A run goes on behind its finished steps, whatever interrupts it.</p>
          <Code label="Snippet" text={`penstock pipelines check nightly.yaml\npenstock pipelines run nightly.yaml --background`} />
        </Empty>
      )}
      <StartPipeline open={search.new === "1" || !!chosen} pipeline={chosen} onClose={() => patch({ new: undefined, start: undefined })} />
    </div>
  );
}
