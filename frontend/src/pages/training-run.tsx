import { useMemo, useState } from "react";
import { useParams } from "@tanstack/react-router";
import { api, path } from "../api/client.ts";
import type { MetricPoint, Page, TrainingRun } from "../api/types.ts";
import { Badge, Card, Code, Dialog, Facts, PageHead, Tabs, When } from "../components/bits.tsx";
import { Ready } from "../components/state.tsx";
import { Curves, CurveTools } from "../components/curves.tsx";
import { Artifacts, Inputs, Note, Reference } from "../components/training/parts.tsx";
import { bytes, figure, full, ms, usd } from "../lib/format.ts";
import { A, useSearch } from "../lib/nav.tsx";
import { useAct, useGet } from "../lib/query.ts";
import { busy, number, outcome, title, writerOf } from "../lib/runs.ts";
import { between } from "../lib/time.ts";
import "../loop.css";

function Head({ run, live }: { run: TrainingRun; live: boolean }) {
  const p = run.progress;
  const step = number(p.step);
  const steps = number(p.steps);
  const left = number(p.eta_s) ?? number(p.eta_seconds);
  return (
    <Card>
      <Facts
        items={[
          ["Method", run.method],
          ["Base", run.base.includes("/") ? run.base : <Reference kind="model_version" value={run.base} />],
          ["Dataset", <Reference kind="dataset_version" value={run.dataset} />],
          ["Model", run.model ? <Reference kind="model_version" value={run.model} /> : null],
          ["Search", run.search ? <A href={path`/training/searches/${run.search}`}>{run.search}</A> : null],
          ["Started", <When at={run.started_at ?? run.created_at} />],
          ["Took", ms(between(run.started_at, run.ended_at))],
          ["Stage", live ? String(p.stage ?? "") : null],
          ["Step", live && step !== null ? `${full(step)}${steps ? ` of ${full(steps)}` : ""}` : null],
          ["Asked", live && run.wish ? `to ${run.wish}` : null],
          ["Epoch", live && number(p.epoch) !== null ? figure(number(p.epoch)) : null],
          ["Left", live && left !== null ? `about ${ms(left * 1000)}` : null],
          ["Cost so far", number(p.cost_usd) !== null ? usd(number(p.cost_usd)) : null],
          ["Run", <span className="mono">{run.id}</span>],
        ]}
      />
      {live && p.stage === "waiting" && typeof p.reason === "string" && (
        <div className="note spaced" role="status">
          {`Waits: ${p.reason}`}
        </div>
      )}
      {(live || run.state === "paused") && step !== null && steps !== null && <progress className="run-progress" aria-label="Training progress" max={steps} value={step} />}
    </Card>
  );
}

/** Pause, go on, stop: what the run's state allows. */
function Actions({ run }: { run: TrainingRun }) {
  const [asking, setAsking] = useState(false);
  const pause = useAct(() => api.post(path`/training/runs/${run.id}/pause`), "The run pauses after its next checkpoint");
  const resume = useAct(() => api.post(path`/training/runs/${run.id}/resume`), "The run goes on from its last checkpoint");
  const cancel = useAct(() => api.post(path`/training/runs/${run.id}/cancel`), "Asked the run to stop");
  const live = busy(run.state);
  const again = run.state === "paused" || run.state === "failed" || run.state === "cancelled";
  return (
    <>
      <A className="button" href={path`/training/compare?ids=${run.id}`}>
        Compare
      </A>
      <A className="button" href={path`/training/new?from=${run.id}`}>
        Run again with changes
      </A>
      {run.state === "running" && (
        <button type="button" className="button" disabled={pause.isPending || !!run.wish} onClick={() => pause.mutate(undefined)}>
          Pause
        </button>
      )}
      {again && (
        <button type="button" className="button primary" disabled={resume.isPending} onClick={() => resume.mutate(undefined)}>
          Resume
        </button>
      )}
      {(live || run.state === "paused") && (
        <button type="button" className="button danger" disabled={cancel.isPending} onClick={() => setAsking(true)}>
          Cancel
        </button>
      )}
      <Dialog open={asking} onClose={() => setAsking(false)} title="Cancel this run?">
        <p>It stops after the step it is in; its checkpoints stay, so that it can be resumed.</p>
        <div className="actions">
          <button type="button" className="button" onClick={() => setAsking(false)}>
            Keep it running
          </button>
          <button
            type="button"
            className="button danger"
            onClick={() => {
              setAsking(false);
              cancel.mutate(undefined);
            }}
          >
            Cancel the run
          </button>
        </div>
      </Dialog>
    </>
  );
}

function Log({ id, live }: { id: string; live: boolean }) {
  const [search, patch] = useSearch();
  const tail = search.tail ?? "8000";
  const log = useGet<{ text: string }>(path`/training/runs/${id}/log`, { tail }, { every: live ? 2_000 : false, keep: true });
  return (
    <Card
      title="Log"
      actions={
        <label className="row small">
          The last
          <select value={tail} onChange={(e) => patch({ tail: e.target.value === "8000" ? undefined : e.target.value })}>
            {["8000", "64000", "1000000"].map((n) => (
              <option key={n} value={n}>
                {bytes(Number(n))}
              </option>
            ))}
          </select>
        </label>
      }
    >
      <Ready query={log} rows={6}>
        {(l) => (l.text ? <Code text={l.text} label="Log" max={560} /> : <p className="muted">The log is empty.</p>)}
      </Ready>
    </Card>
  );
}

/** The figures a run stands at: a warning goes with them, since they are no verdict. */
function Standing({ run, points }: { run: TrainingRun; points: MetricPoint[] }) {
  const last = Object.entries(outcome(run, points));
  if (!last.length) return null;
  return (
    <Card title={busy(run.state) ? "Now" : "At the end"}>
      <Facts items={last.map(([k, v]): [string, string] => [title(k), writerOf(k)(v)])} />
      <p className="muted spaced small">Figures of training are no verdict: a collapsed run can look its best here. Only an evaluation decides.</p>
    </Card>
  );
}

function Body({ run }: { run: TrainingRun }) {
  const [search] = useSearch();
  const tab = search.tab ?? "curves";
  const live = busy(run.state);
  const metrics = useGet<Page<MetricPoint>>(path`/training/runs/${run.id}/metrics`, undefined, { every: live ? 1_000 : false });
  const points = useMemo(() => metrics.data?.items ?? [], [metrics.data]);
  const sources = useMemo(() => [{ id: run.id, label: run.name, points }], [run.id, run.name, points]);
  return (
    <>
      {run.error && (
        <div className="note bad" role="alert">
          {run.error}
          {run.hint && (
            <>
              <br />
              {run.hint}
            </>
          )}
        </div>
      )}
      <Head run={run} live={live} />
      <Tabs
        label="Run views"
        current={tab}
        hrefOf={(k) => (k === "curves" ? path`/training/${run.id}` : `${path`/training/${run.id}`}?tab=${k}`)}
        items={[
          ["curves", "Curves"],
          ["resources", "Machine"],
          ["inputs", "What went in"],
          ["artifacts", "Artifacts"],
          ["log", "Log"],
        ]}
      />
      {(tab === "curves" || tab === "resources") && (
        <Card title={tab === "curves" ? "Learning" : "What the machine did"} actions={<CurveTools />}>
          <Ready query={metrics} rows={6}>
            {() => <Curves sources={sources} show={tab === "curves" ? "learning" : "resources"} empty={live ? "No figures have arrived yet." : "This run recorded none."} />}
          </Ready>
        </Card>
      )}
      {tab === "curves" && (
        <div className="columns">
          <Standing run={run} points={points} />
          <Note run={run} />
        </div>
      )}
      {tab === "inputs" && <Inputs run={run} />}
      {tab === "artifacts" && <Artifacts run={run} live={live} />}
      {tab === "log" && <Log id={run.id} live={live} />}
    </>
  );
}

export default function TrainingRunPage() {
  const { id = "" } = useParams({ strict: false }) as { id?: string };
  const run = useGet<TrainingRun>(path`/training/runs/${id}`, undefined, { every: (d) => (busy(d?.state) ? 1_000 : d?.state === "paused" ? 5_000 : false) });
  return (
    <div className="page">
      <PageHead title={run.data?.name ?? "Training run"} crumbs={[["Training", "/training"]]} note={run.data && <Badge value={run.data.state} />}>
        {run.data && <Actions run={run.data} />}
      </PageHead>
      <Ready query={run}>{(r) => <Body run={r} />}</Ready>
    </div>
  );
}
