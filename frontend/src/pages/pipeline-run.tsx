import { useParams } from "@tanstack/react-router";
import { api, path } from "../api/client.ts";
import type { PipelineRun } from "../api/types.ts";
import { Badge, Card, Code, Facts, PageHead, Table, When } from "../components/bits.tsx";
import { hrefOf } from "../components/lineage.tsx";
import { Ready } from "../components/state.tsx";
import { full, ms } from "../lib/format.ts";
import { A } from "../lib/nav.tsx";
import { gaveOf, mishapOf, type StepRow, stepsOf, underWay, writeDocument } from "../lib/pipelines.ts";
import { useAct, useGet } from "../lib/query.ts";
import { between } from "../lib/time.ts";
import "../loop.css";

function Results({ row }: { row: StepRow }) {
  const gave = gaveOf(row);
  if (!gave.length) return <>–</>;
  return (
    <span className="row">
      {gave.map((g) => {
        const href = g.thing && hrefOf(g.thing, g.text);
        return (
          <span key={g.label}>
            <span className="muted">{`${g.label} `}</span>
            {href ? <A href={href}>{g.text}</A> : g.text}
          </span>
        );
      })}
    </span>
  );
}

function Body({ run }: { run: PipelineRun }) {
  const steps = stepsOf(run);
  const values = Object.entries(run.inputs.values ?? {});
  return (
    <>
      {mishapOf(run) && (
        <div className="note bad" role="alert">
          {mishapOf(run)}
        </div>
      )}
      {run.reason && <div className="note">{run.reason}</div>}
      <Card>
        <Facts
          items={[
            ["Pipeline", <A href={`/pipelines?pipeline=${encodeURIComponent(run.pipeline)}`}>{run.pipeline}</A>],
            ["Steps done", `${full(run.steps.length)} of ${full(steps.length)}`],
            ["Took", ms(between(run.created_at, run.ended_at))],
            ["Started", <When at={run.created_at} />],
            ["Ended", run.ended_at ? <When at={run.ended_at} /> : null],
            ...values.map(([name, value]): [string, string] => [name, typeof value === "string" ? value : JSON.stringify(value)]),
          ]}
        />
        {underWay(run.state) && <progress className="run-progress" aria-label="Steps done" max={steps.length || 1} value={run.steps.length} />}
      </Card>
      <Card title="Steps" flush>
        <Table
          label="Steps"
          rows={steps}
          keyOf={(s) => s.name}
          columns={[
            { head: "Step", cell: (s) => s.name },
            { head: "Kind", cell: (s) => s.kind || "–" },
            { head: "State", cell: (s) => <Badge value={s.state} /> },
            { head: "Gave", cell: (s) => <Results row={s} /> },
            { head: "Took", cell: (s) => (s.seconds === null ? "–" : ms(s.seconds * 1000)), num: true },
            { head: "Ended", cell: (s) => <When at={s.ended_at} /> },
          ]}
        />
      </Card>
      {run.inputs.document && (
        <Card title="As it was written when it began">
          <Code label="Document" text={writeDocument(run.inputs.document)} max={420} />
        </Card>
      )}
    </>
  );
}

export default function PipelineRunPage() {
  const { id = "" } = useParams({ strict: false }) as { id?: string };
  const run = useGet<PipelineRun>(path`/pipelines/runs/${id}`, undefined, { every: (r) => (underWay(r?.state) ? 2_000 : false) });
  const cancel = useAct(() => api.post(path`/pipelines/runs/${id}/cancel`), "It stops; finished steps stay");
  const resume = useAct(() => api.post(path`/pipelines/runs/${id}/resume`), "It goes on behind its finished steps");
  const r = run.data;
  return (
    <div className="page">
      <PageHead title={r ? `${r.pipeline} ${r.number}` : "Pipeline run"} crumbs={[["Pipelines", "/pipelines"]]} note={r && <Badge value={r.state} />}>
        {r && underWay(r.state) && (
          <button type="button" className="button danger" disabled={cancel.isPending} onClick={() => cancel.mutate(undefined)}>
            Cancel
          </button>
        )}
        {r && (r.state === "failed" || r.state === "cancelled") && (
          <button type="button" className="button" disabled={resume.isPending} onClick={() => resume.mutate(undefined)}>
            Go on
          </button>
        )}
      </PageHead>
      <Ready query={run}>{(found) => <Body run={found} />}</Ready>
    </div>
  );
}
