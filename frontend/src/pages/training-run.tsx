import { useMemo } from "react";
import { useParams } from "@tanstack/react-router";
import { api, path } from "../api/client.ts";
import type { MetricPoint, Page, TrainingRun } from "../api/types.ts";
import { Badge, Card, Code, Facts, PageHead, When } from "../components/bits.tsx";
import { Chart } from "../components/chart.tsx";
import { hrefOf } from "../components/lineage.tsx";
import { Ready } from "../components/state.tsx";
import { figure, ms } from "../lib/format.ts";
import { A } from "../lib/nav.tsx";
import { useAct, useGet } from "../lib/query.ts";
import { between } from "../lib/time.ts";
import { busy } from "./training.tsx";

const num = (v: unknown): number | null => (typeof v === "number" && Number.isFinite(v) ? v : null);
const SKIP = new Set(["steps", "epoch", "eta_seconds", "attempt", "seed"]);

/** Loss first, then whatever else the trainer reports, one small chart each. */
function Curves({ points }: { points: MetricPoint[] }) {
  const names = useMemo(() => {
    const all = [...new Set(points.flatMap((p) => Object.keys(p.values).filter((k) => !SKIP.has(k))))];
    return all.sort((a, b) => Number(b === "loss") - Number(a === "loss") || Number(b.includes("loss")) - Number(a.includes("loss")));
  }, [points]);
  if (!points.length) return <p className="muted">No figures have arrived yet.</p>;
  return (
    <div className="curves">
      {names.slice(0, 7).map((name, i) => {
        const own = points.filter((p) => num(p.values[name]) !== null);
        return (
          <div key={name} className={i === 0 ? "wide" : undefined}>
            <Chart
              label={`${name.replace(/_/g, " ")}  ${figure(num(own[own.length - 1]?.values[name]))}`}
              time={false}
              sync="training"
              height={i === 0 ? 220 : 130}
              x={own.map((p) => p.step)}
              series={[{ label: name, values: own.map((p) => num(p.values[name])), color: "--accent", fill: false, format: figure }]}
            />
          </div>
        );
      })}
    </div>
  );
}

function Reference({ kind, value }: { kind: string; value: string | null | undefined }) {
  if (!value) return null;
  const href = value.includes("@") ? hrefOf(kind, value) : null;
  return href ? <A href={href}>{value}</A> : <span>{value}</span>;
}

export default function TrainingRunPage() {
  const { id = "" } = useParams({ strict: false }) as { id?: string };
  const run = useGet<TrainingRun>(path`/training/runs/${id}`, undefined, { every: (d) => (busy(d?.state) ? 1_000 : false) });
  const live = busy(run.data?.state);
  const metrics = useGet<Page<MetricPoint>>(path`/training/runs/${id}/metrics`, undefined, { every: live ? 1_000 : false });
  const cancel = useAct(() => api.post(path`/training/runs/${id}/cancel`), "Asked the run to stop");
  const points = metrics.data?.items ?? [];
  const total = num(run.data?.progress.steps);
  const log = useGet<{ text: string }>(path`/training/runs/${id}/log`, undefined, { every: live ? 2_000 : false });
  const step = points[points.length - 1]?.step ?? 0;
  return (
    <div className="page">
      <PageHead title={run.data?.name ?? "Training run"} crumbs={[["Training", "/training"]]} note={run.data && <Badge value={run.data.state} />}>
        {live && (
          <button type="button" className="button danger" disabled={cancel.isPending} onClick={() => cancel.mutate(undefined)}>
            Cancel
          </button>
        )}
      </PageHead>
      <Ready query={run}>
        {(r) => (
          <>
            {r.error && (
              <div className="note bad" role="alert">
                {r.error}
              </div>
            )}
            <Card>
              <Facts
                items={[
                  ["Method", r.method],
                  ["Base", <Reference kind="model_version" value={r.base} />],
                  ["Dataset", <Reference kind="dataset_version" value={r.dataset} />],
                  ["Model", r.model ? <Reference kind="model_version" value={r.model} /> : null],
                  ["Started", <When at={r.started_at ?? r.created_at} />],
                  ["Took", ms(between(r.started_at, r.ended_at))],
                  ["Stage", live ? String(r.progress.stage ?? "") : null],
                  ["Left", live && num(r.progress.eta_seconds) !== null ? ms(num(r.progress.eta_seconds)! * 1000) : null],
                  ...Object.entries(r.metrics).map(([k, v]): [string, string] => [k.replace(/_/g, " "), figure(v)]),
                  ["Run", <span className="mono">{r.id}</span>],
                ]}
              />
              {live && total && <progress aria-label="Training progress" max={total} value={step} />}
            </Card>
            <Card title="Progress">
              <Ready query={metrics} rows={6}>
                {() => <Curves points={points} />}
              </Ready>
            </Card>
            <div className="columns">
              <Card title="Log">
                <Ready query={log} rows={4}>{(l) => (l.text ? <Code text={l.text.split("\n").slice(-200).join("\n")} label="Log" max={360} /> : <p className="muted">The log is empty.</p>)}</Ready>
              </Card>
              <Card title="Recipe">
                <Code text={JSON.stringify(r.recipe, null, 2)} label="Recipe" max={360} />
              </Card>
            </div>
          </>
        )}
      </Ready>
    </div>
  );
}
