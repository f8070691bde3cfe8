import { path } from "../api/client.ts";
import type { EvalRun, GateDecision, Metric, Page } from "../api/types.ts";
import { Badge, Card, Code, Dialog, IntervalBar, PageHead, Tabs, When } from "../components/bits.tsx";
import { Optimisations } from "../components/evals/optimisations.tsx";
import { EvaluateForm } from "../components/evals/start.tsx";
import { Judges } from "../components/evals/judges.tsx";
import { Empty, Ready } from "../components/state.tsx";
import { paceOf } from "../lib/compare.ts";
import { figure, full, short } from "../lib/format.ts";
import { A, useGo, useSearch } from "../lib/nav.tsx";
import { useGet } from "../lib/query.ts";
import { busy } from "../lib/runs.ts";
import { answerersOf } from "../lib/suites.ts";

/** The figure a list shows: exact match when there is one, else the first fraction. */
export function headline(metrics: Metric[]): Metric | undefined {
  const whole = metrics.filter((m) => !m.split);
  return whole.find((m) => /exact/.test(m.name)) ?? whole.find((m) => m.kind === "proportion") ?? whole[0] ?? metrics[0];
}

export function metricText(value: number | null, unit: string): string {
  if (value == null) return "–";
  if (unit === "fraction") return `${(value * 100).toFixed(1)} %`;
  return `${figure(value)}${unit && unit !== "points" ? ` ${unit}` : ""}`;
}

const compareHref = ([baseline, candidate, ...more]: EvalRun[]): string => `/evaluations/compare?baseline=${baseline!.id}&candidate=${candidate!.id}${more.length ? `&more=${more.map((r) => r.id).join(",")}` : ""}`;

function Runs({ runs }: { runs: EvalRun[] }) {
  const go = useGo();
  const [search, patch] = useSearch();
  const picked = (search.picked ?? "").split(",").filter(Boolean);
  const toggle = (id: string) => patch({ picked: (picked.includes(id) ? picked.filter((x) => x !== id) : [...picked, id]).join(",") }, { replace: true });
  // The oldest is the baseline.
  const order = runs.filter((r) => picked.includes(r.id)).sort((a, b) => a.created_at.localeCompare(b.created_at));
  return (
    <Card
      flush
      title="Runs"
      actions={
        <button type="button" className="button small" disabled={order.length < 2 || order.some((r) => busy(r.state))} onClick={() => go(compareHref(order))}>
          {order.length < 2 ? "Tick two or more to compare" : order.some((r) => busy(r.state)) ? "Compare when they are done" : order.length === 2 ? "Compare the two" : `Compare ${order.length} runs`}
        </button>
      }
    >
      <div className="table-scroll" tabIndex={0} role="region" aria-label="Evaluation runs">
        <table>
          <thead>
            <tr>
              <th scope="col">
                <span className="sr">Compare</span>
              </th>
              <th scope="col">Run</th>
              <th scope="col">Model</th>
              <th scope="col">Dataset</th>
              <th scope="col">State</th>
              <th scope="col" className="num">
                Samples
              </th>
              <th scope="col">Main figure</th>
              <th scope="col" className="interval-cell">
                95 % interval
              </th>
              <th scope="col">Made</th>
            </tr>
          </thead>
          <tbody>
            {runs.map((r) => {
              const m = headline(r.metrics);
              return (
                <tr key={r.id}>
                  <td>
                    <input type="checkbox" aria-label={`Compare ${r.suite} ${short(r.id)}`} checked={picked.includes(r.id)} onChange={() => toggle(r.id)} />
                  </td>
                  <td>
                    <A href={path`/evaluations/${r.id}`}>{r.suite}</A> <span className="muted mono">{short(r.id, 6)}</span>
                  </td>
                  <td>{r.model || r.target}</td>
                  <td>{r.dataset}</td>
                  <td>
                    <Badge value={r.state} />
                  </td>
                  <td className="num">{busy(r.state) ? `${full(paceOf(r).done)} / ${full(paceOf(r).total)}` : full(r.done)}</td>
                  <td>{m ? `${m.name.replace(/_/g, " ")} ${metricText(m.value, m.unit)}` : "–"}</td>
                  <td className="interval-cell">{m && m.unit === "fraction" && <IntervalBar metric={m} label={m.name} />}</td>
                  <td>
                    <When at={r.created_at} />
                  </td>
                </tr>
              );
            })}
          </tbody>
        </table>
      </div>
    </Card>
  );
}

export function Gate({ gate }: { gate: GateDecision }) {
  return (
    <section className={`gate ${gate.passed ? "good" : "bad"}`} aria-label={`${gate.passed ? "Passed gate" : "Refused by the gate"}: ${gate.run_id}, ${gate.id}`}>
      <div className="row">
        <Badge value={gate.passed ? "passed" : "refused"} />
        <A href={path`/evaluations/${gate.run_id}`}>
          run <span className="mono">{short(gate.run_id, 6)}</span>
        </A>
        {gate.baseline_id && (
          <A href={`/evaluations/compare?baseline=${gate.baseline_id}&candidate=${gate.run_id}`}>
            against <span className="mono">{short(gate.baseline_id, 6)}</span>
          </A>
        )}
        <span className="muted push">
          <When at={gate.created_at} />
        </span>
      </div>
      <ul>
        {gate.checks.map((c, i) => (
          <li key={i}>
            <svg viewBox="0 0 16 16" className={c.passed ? "mark good" : "mark bad"} role="img" aria-label={c.passed ? "passed" : "failed"}>
              <path d={c.passed ? "M3 8.5l3.5 3.5L13 5" : "M4 4l8 8M12 4l-8 8"} />
            </svg>
            <span>
              <span className="mono">{c.rule}</span>
              <br />
              <span className="muted">{c.reason}</span>
            </span>
          </li>
        ))}
      </ul>
    </section>
  );
}

function Gates() {
  const gates = useGet<Page<GateDecision>>("/evals/gates");
  return (
    <Ready query={gates}>
      {(page) =>
        page.items.length ? (
          <div className="gates">
            {page.items.map((g) => (
              <Gate key={g.id} gate={g} />
            ))}
          </div>
        ) : (
          <Empty title="No gate has decided yet">
            <p className="muted">A gate compares a run with rules and a baseline, and says why it refuses.</p>
          </Empty>
        )
      }
    </Ready>
  );
}

export default function Evaluations() {
  const [search, patch] = useSearch();
  const tab = search.tab ?? "runs";
  const close = () => patch({ new: undefined, dataset: undefined, answer: undefined }, { replace: true });
  const runs = useGet<Page<EvalRun>>("/evals/runs", undefined, { every: (d) => (d?.items.some((r) => busy(r.state)) ? 2_000 : 15_000) });
  return (
    <div className="page">
      <PageHead title="Evaluations">
        <button type="button" className="button primary" onClick={() => patch({ new: "1" })}>
          Evaluate
        </button>
      </PageHead>
      <Tabs
        label="Evaluation views"
        current={tab}
        hrefOf={(k) => (k === "runs" ? "/evaluations" : `/evaluations?tab=${k}`)}
        items={[
          ["runs", "Runs"],
          ["gates", "Gate decisions"],
          ["judges", "Judges"],
          ["optimise", "Better prompts"],
        ]}
      />
      {tab === "gates" ? (
        <Gates />
      ) : tab === "judges" ? (
        <Judges />
      ) : tab === "optimise" ? (
        <Optimisations />
      ) : (
        <Ready query={runs}>
          {(page) =>
            page.items.length ? (
              <Runs runs={page.items} />
            ) : (
              <Empty title="No evaluations yet">
                <p className="muted">A suite is a dataset, a target and scorers. Every figure comes with its 95 % interval.</p>
                <Code label="Snippet" text={`penstock evals run suite.yaml\npenstock evals gate RUN --baseline RUN`} />
              </Empty>
            )
          }
        </Ready>
      )}
      <Dialog open={search.new === "1"} onClose={close} title="Evaluate" wide>
        <EvaluateForm start={{ dataset: search.dataset, answerers: answerersOf(search.answer) }} onClose={close} />
      </Dialog>
    </div>
  );
}
