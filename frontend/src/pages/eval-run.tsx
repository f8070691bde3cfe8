import { useContext } from "react";
import { useParams } from "@tanstack/react-router";
import { useInfiniteQuery } from "@tanstack/react-query";
import { api, path, type ApiError } from "../api/client.ts";
import type { EvalRun, GateDecision, Metric, Page, Sample } from "../api/types.ts";
import { Badge, Card, Code, Facts, IntervalBar, PageHead, Tabs, When } from "../components/bits.tsx";
import { Messages } from "../components/messages.tsx";
import { Failure, Loading, Ready } from "../components/state.tsx";
import { paceOf } from "../lib/compare.ts";
import { figure, full, ms, usd } from "../lib/format.ts";
import { A, ProjectContext, useSearch } from "../lib/nav.tsx";
import { useGet } from "../lib/query.ts";
import { Gate, metricText } from "./evals.tsx";
import { busy } from "../lib/runs.ts";

/** A run while it goes: how far, how long still, what it has cost. */
function Progress({ run }: { run: EvalRun }) {
  const pace = paceOf(run);
  return (
    <div className="run-progress">
      <progress aria-label="Evaluation progress" max={pace.total || 1} value={pace.done} />
      <div className="meter" role="status" aria-label="Progress in words">
        <span>
          Done <b>{`${(pace.share * 100).toFixed(0)} %`}</b>
        </span>
        <span>
          Left <b>{pace.etaMs == null ? "–" : `about ${ms(pace.etaMs)}`}</b>
        </span>
        <span>
          Failed <b>{full(pace.errors)}</b>
        </span>
        <span>
          Cost so far <b>{usd(pace.costUsd)}</b>
        </span>
        {pace.cached > 0 && (
          <span>
            From the cache <b>{full(pace.cached)}</b>
          </span>
        )}
      </div>
    </div>
  );
}

/** Why scorers judged as they did. */
function Notes({ notes }: { notes: Record<string, unknown> | undefined }) {
  const said = Object.entries(notes ?? {});
  if (!said.length) return null;
  return (
    <>
      <h3>Reasons</h3>
      {said.map(([scorer, why]) => (
        <div key={scorer}>
          <b className="small">{scorer.replace(/_/g, " ")}</b>
          {typeof why === "string" ? <div className="message-text">{why}</div> : <Code text={JSON.stringify(why, null, 2)} label={`Reasons of ${scorer}`} max={240} />}
        </div>
      ))}
    </>
  );
}

function Metrics({ metrics }: { metrics: Metric[] }) {
  if (!metrics.length) return <p className="muted">Figures appear when the first samples are scored.</p>;
  return (
    <div className="table-scroll" tabIndex={0} role="region" aria-label="Metrics">
      <table>
        <thead>
          <tr>
            <th scope="col">Metric</th>
            <th scope="col" className="num">
              Value
            </th>
            <th scope="col" className="num">
              95 % interval
            </th>
            <th scope="col" className="interval-cell">
              <span className="sr">Drawn</span>
            </th>
            <th scope="col" className="num">
              Rows
            </th>
            <th scope="col">Method</th>
          </tr>
        </thead>
        <tbody>
          {metrics.map((m) => {
            const top = m.unit === "fraction" ? 1 : Math.max(m.high ?? m.value, m.value) * 1.1 || 1;
            return (
              <tr key={`${m.name}:${m.split}`}>
                <td>
                  {m.name.replace(/_/g, " ")} {m.split && <span className="muted">{m.split}</span>}
                </td>
                <td className="num">
                  <b>{metricText(m.value, m.unit)}</b>
                </td>
                <td className="num">{m.low == null && m.high == null ? "–" : `${metricText(m.low, m.unit)} to ${metricText(m.high, m.unit)}`}</td>
                <td className="interval-cell">
                  <IntervalBar metric={m} high={top} label={m.name} />
                </td>
                <td className="num">{full(m.n)}</td>
                <td className="muted">{m.method ?? ""}</td>
              </tr>
            );
          })}
        </tbody>
      </table>
    </div>
  );
}

function Samples({ id }: { id: string }) {
  const project = useContext(ProjectContext);
  const [search, patch] = useSearch();
  const url = path`/evals/runs/${id}/samples`;
  const samples = useInfiniteQuery<Page<Sample>, ApiError, { pages: Page<Sample>[] }, unknown[], string | null>({
    queryKey: [project, url],
    initialPageParam: null,
    queryFn: ({ pageParam, signal }) => api.get(url, { cursor: pageParam, limit: 100 }, signal),
    getNextPageParam: (last) => last.next,
  });
  if (samples.error) return <Failure error={samples.error} again={() => void samples.refetch()} />;
  if (samples.isPending) return <Loading />;
  const wrong = search.only === "wrong";
  const all = samples.data.pages.flatMap((p) => p.items);
  const isWrong = (s: Sample) => !!s.error || Object.entries(s.scores).some(([k, v]) => /exact/.test(k) && v < 1);
  const items = wrong ? all.filter(isWrong) : all;
  return (
    <Card
      title={`${full(items.length)} ${wrong ? "wrong " : ""}samples${samples.hasNextPage ? " so far" : ""}`}
      actions={
        <label className="row">
          <input type="checkbox" checked={wrong} onChange={(e) => patch({ only: e.target.checked ? "wrong" : undefined }, { replace: true })} /> Only wrong ones
        </label>
      }
    >
      <ul className="samples">
        {items.map((s) => (
          <li key={s.sample_id}>
            <details>
              <summary>
                <span className="muted num">{s.ordinal + 1}</span>
                <span className="ellipsis grow">{s.error ?? (s.text || "(empty)")}</span>
                {s.error ? <Badge value="error" /> : isWrong(s) ? <Badge value="wrong" tone="bad" /> : null}
              </summary>
              <div className="sample">
                <div>
                  <h3>Input</h3>
                  <Messages body={s.messages} label="Input" />
                </div>
                <div>
                  <h3>Expected</h3>
                  <Messages body={s.references[0] ?? ""} label="Expected" />
                  <h3>Answer</h3>
                  <Messages body={s.error ?? s.text} label="Answer" />
                  <Facts items={[...Object.entries(s.scores).map(([k, v]): [string, string] => [k.replace(/_/g, " "), figure(v)]), ["latency", s.latency_s != null ? ms(s.latency_s * 1000) : null], ["trace", s.trace_id && <A href={`/traces/${s.trace_id}`}>open</A>]]} />
                  {s.score_error && <div className="note bad">{s.score_error}</div>}
                  <Notes notes={s.notes} />
                </div>
              </div>
            </details>
          </li>
        ))}
      </ul>
      {items.length === 0 && <p className="muted">None.</p>}
      {samples.hasNextPage && (
        <button type="button" className="button" disabled={samples.isFetchingNextPage} onClick={() => void samples.fetchNextPage()}>
          Load more
        </button>
      )}
    </Card>
  );
}

export default function EvalRunPage() {
  const { id = "" } = useParams({ strict: false }) as { id?: string };
  const [search] = useSearch();
  const tab = search.tab ?? "metrics";
  const run = useGet<EvalRun>(path`/evals/runs/${id}`, undefined, { every: (d) => (busy(d?.state) ? 1_500 : false) });
  const gates = useGet<Page<GateDecision>>("/evals/gates", { run_id: id });
  const mine = gates.data?.items ?? [];
  return (
    <div className="page">
      <PageHead title={run.data?.suite ?? "Evaluation"} crumbs={[["Evaluations", "/evaluations"]]} note={run.data && <Badge value={run.data.state} />}>
        {run.data && run.data.done > 0 && !busy(run.data.state) && (
          <A className="button" href={`/annotation?new=1&run=${encodeURIComponent(id)}`}>
            Have people look
          </A>
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
                  ["Model", r.model || r.target],
                  ["Target", r.target],
                  ["Dataset", <A href={`/datasets/${encodeURIComponent(r.dataset.split("@")[0]!)}?version=${r.dataset.split("@")[1] ?? ""}`}>{r.dataset}</A>],
                  ["Samples", `${full(paceOf(r).done)} of ${full(paceOf(r).total)}${r.errors ? `, ${full(r.errors)} failed` : ""}`],
                  ["Cost", !busy(r.state) && r.progress?.cost_usd != null ? usd(r.progress.cost_usd) : null],
                  ["From the cache", !busy(r.state) && r.progress?.cached ? full(r.progress.cached) : null],
                  ["Made", <When at={r.created_at} />],
                  ["Run", <span className="mono">{r.id}</span>],
                ]}
              />
              {busy(r.state) && <Progress run={r} />}
            </Card>
            {mine.map((g) => (
              <Gate key={g.id} gate={g} />
            ))}
            <Tabs
              label="Run views"
              current={tab}
              hrefOf={(k) => path`/evaluations/${id}` + (k === "metrics" ? "" : `?tab=${k}`)}
              items={[
                ["metrics", "Metrics"],
                ["samples", "Samples"],
              ]}
            />
            {tab === "samples" ? (
              <Samples id={id} />
            ) : (
              <Card flush>
                <Metrics metrics={r.metrics} />
              </Card>
            )}
          </>
        )}
      </Ready>
    </div>
  );
}
