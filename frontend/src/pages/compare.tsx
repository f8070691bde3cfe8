import type { ComparedRuns, Comparison, Difference, EvalRun, Page } from "../api/types.ts";
import { Badge, Card, PageHead } from "../components/bits.tsx";
import { ComparedRows } from "../components/evals/rows.tsx";
import { Empty, Ready } from "../components/state.tsx";
import { compareQuery } from "../lib/compare.ts";
import { full, short } from "../lib/format.ts";
import { A, useSearch } from "../lib/nav.tsx";
import { useGet } from "../lib/query.ts";
import { metricText } from "./evals.tsx";

function verdict(d: Difference): "better" | "worse" | "not shown" {
  if (d.verdict === "better" || d.verdict === "worse") return d.verdict;
  if (d.p_adjusted >= 0.05 || d.difference === 0) return "not shown";
  return d.difference > 0 === d.higher_is_better ? "better" : "worse";
}

function DeltaBar({ d }: { d: Difference }) {
  const reach = Math.max(Math.abs(d.low ?? d.difference), Math.abs(d.high ?? d.difference), Math.abs(d.difference), 1e-9) * 1.1;
  const at = (v: number) => `${50 + (v / reach) * 50}%`;
  const tone = { better: "good", worse: "bad", "not shown": "plain" }[verdict(d)];
  return (
    <svg className={`interval ${tone}`} role="img" aria-label={`Difference ${metricText(d.difference, d.unit)}, 95 % interval ${metricText(d.low, d.unit)} to ${metricText(d.high, d.unit)}`}>
      <line className="rail" x1="0" x2="100%" y1="50%" y2="50%" />
      <line className="zero" x1="50%" x2="50%" y1="10%" y2="90%" />
      <line className="span" x1={at(d.low ?? d.difference)} x2={at(d.high ?? d.difference)} y1="50%" y2="50%" />
      <circle cx={at(d.difference)} cy="50%" r="4" />
    </svg>
  );
}

function Pick({ label, value, runs, onPick }: { label: string; value: string; runs: EvalRun[]; onPick: (id: string) => void }) {
  return (
    <label className="row">
      {label}
      <select value={value} onChange={(e) => onPick(e.target.value)}>
        {!runs.some((r) => r.id === value) && <option value={value}>{value ? short(value) : "Choose a run"}</option>}
        {runs.map((r) => (
          <option key={r.id} value={r.id}>
            {`${r.suite} · ${r.model || r.target} · ${short(r.id, 6)}`}
          </option>
        ))}
      </select>
    </label>
  );
}

function Differences({ c, title }: { c: ComparedRuns; title?: string }) {
  return (
    <>
      {title && <h2 className="compare-title">{title}</h2>}
      <p className="muted">
        {full(c.shared)} shared samples compared in pairs
        {c.changed ? `; ${full(c.changed)} changed` : ""}
        {c.failed ? `; ${full(c.failed)} failed` : ""}
        {c.only_baseline || c.only_candidate ? `; ${full(c.only_baseline + c.only_candidate)} in one run only` : ""}.{" "}
        <A href={`/evaluations/${c.baseline_id}`}>Baseline</A> · <A href={`/evaluations/${c.candidate_id}`}>Candidate</A>
      </p>
      <Card flush>
        <div className="table-scroll" tabIndex={0} role="region" aria-label={title ? `Differences of ${title}` : "Differences"}>
          <table>
            <thead>
              <tr>
                <th scope="col">Metric</th>
                <th scope="col" className="num">
                  Baseline
                </th>
                <th scope="col" className="num">
                  Candidate
                </th>
                <th scope="col" className="num">
                  Difference
                </th>
                <th scope="col" className="interval-cell">
                  95 % interval
                </th>
                <th scope="col" className="num">
                  p (Holm)
                </th>
                <th scope="col">Verdict</th>
              </tr>
            </thead>
            <tbody>
              {c.differences.map((d) => {
                const v = verdict(d);
                return (
                  <tr key={`${d.name}:${d.split}`}>
                    <td title={d.test}>
                      {d.name.replace(/_/g, " ")} {d.split && <span className="muted">{d.split}</span>}
                    </td>
                    <td className="num">{metricText(d.baseline, d.unit)}</td>
                    <td className="num">{metricText(d.candidate, d.unit)}</td>
                    <td className={`num ${v === "better" ? "good-ink" : v === "worse" ? "bad-ink" : ""}`}>
                      {d.difference > 0 ? "+" : ""}
                      {metricText(d.difference, d.unit)}
                    </td>
                    <td className="interval-cell">
                      <DeltaBar d={d} />
                    </td>
                    <td className="num">{d.p_adjusted < 0.001 ? "< 0.001" : d.p_adjusted.toFixed(3)}</td>
                    <td>
                      <Badge value={v} tone={v === "better" ? "good" : v === "worse" ? "bad" : "plain"} />
                    </td>
                  </tr>
                );
              })}
            </tbody>
          </table>
        </div>
      </Card>
    </>
  );
}

export default function Compare() {
  const [search, patch] = useSearch();
  const { baseline = "", candidate = "" } = search;
  const more = (search.more ?? "").split(",").filter(Boolean);
  const runs = useGet<Page<EvalRun>>("/evals/runs");
  const list = runs.data?.items ?? [];
  const comparison = useGet<Comparison>(`/evals/compare?${compareQuery(search, { limit: "1" })}`, undefined, { enabled: !!baseline && !!candidate });
  const setMore = (ids: string[]) => patch({ more: ids.join(",") });
  const nameOf = (id: string) => {
    const run = list.find((r) => r.id === id);
    return run ? `${run.model || run.target} (${short(id, 6)})` : short(id);
  };
  return (
    <div className="page">
      <PageHead title="Compare runs" crumbs={[["Evaluations", "/evaluations"]]} />
      <div className="filters">
        <Pick label="Baseline" value={baseline} runs={list} onPick={(id) => patch({ baseline: id })} />
        <Pick label="Candidate" value={candidate} runs={list} onPick={(id) => patch({ candidate: id })} />
        {more.map((id, i) => (
          <span key={i} className="row">
            <Pick label={`Candidate ${i + 2}`} value={id} runs={list} onPick={(next) => setMore(more.map((old, n) => (n === i ? next : old)))} />
            <button type="button" className="button small" aria-label={`Remove candidate ${i + 2}`} onClick={() => setMore(more.filter((_, n) => n !== i))}>
              ×
            </button>
          </span>
        ))}
        <button type="button" className="button" onClick={() => patch({ baseline: candidate, candidate: baseline })}>
          Swap
        </button>
        {baseline && candidate && (
          <select
            aria-label="Add a candidate"
            value=""
            onChange={(e) => {
              if (e.target.value) setMore([...more, e.target.value]);
            }}
          >
            <option value="">Add a candidate…</option>
            {list
              .filter((r) => ![baseline, candidate, ...more].includes(r.id))
              .map((r) => (
                <option key={r.id} value={r.id}>
                  {`${r.suite} · ${r.model || r.target} · ${short(r.id, 6)}`}
                </option>
              ))}
          </select>
        )}
      </div>
      {!baseline || !candidate ? (
        <Empty title="Choose two runs" />
      ) : (
        <Ready query={comparison}>
          {(c) => {
            const all = c.comparisons?.length ? c.comparisons : [c];
            return (
              <>
                {all.map((one) => (
                  <Differences key={one.candidate_id} c={one} title={all.length > 1 ? nameOf(one.candidate_id) : undefined} />
                ))}
                <ComparedRows runs={list} metrics={[...new Set(c.differences.map((d) => d.name))]} />
              </>
            );
          }}
        </Ready>
      )}
    </div>
  );
}
