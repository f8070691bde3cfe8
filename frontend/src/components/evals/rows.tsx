/** Samples of several runs side by side, the worst loss first, with what changed by word. */
import type { ComparedRow, ComparedSide, EvalRun, Page } from "../../api/types.ts";
import { compareQuery, runsOf, scoresOf, shownRows } from "../../lib/compare.ts";
import { figure, full, ms, short } from "../../lib/format.ts";
import { A, useSearch } from "../../lib/nav.tsx";
import { usePages } from "../../lib/query.ts";
import { Badge, Card } from "../bits.tsx";
import { Messages } from "../messages.tsx";
import { Failure, Loading } from "../state.tsx";

const STATUS: Record<ComparedRow["status"], string> = { compared: "", changed: "the sample changed", failed: "failed", only_baseline: "only in the baseline", only_candidate: "only in a candidate" };

function Side({ side, name, first }: { side: ComparedSide | null; name: string; first: boolean }) {
  return (
    <section className="compare-side" aria-label={name}>
      <h3>{name}</h3>
      {!side ? (
        <p className="muted">Not in this run.</p>
      ) : side.error ? (
        <div className="note bad">{side.error}</div>
      ) : first || !side.pieces.length ? (
        <div className="message-text">{side.text || <span className="muted">(empty)</span>}</div>
      ) : (
        <div className="diff words">
          {side.pieces.map((p, i) => (p.op === "equal" ? <span key={i}>{p.text}</span> : p.op === "insert" ? <ins key={i}>{p.text}</ins> : <del key={i}>{p.text}</del>))}
        </div>
      )}
      {side && (
        <div className="muted small">
          {side.latency_s != null && `${ms(side.latency_s * 1000)} `}
          {side.trace_id && <A href={`/traces/${side.trace_id}`}>trace</A>}
        </div>
      )}
    </section>
  );
}

function Scores({ row, names }: { row: ComparedRow; names: string[] }) {
  const scores = scoresOf(row);
  if (!scores.length) return null;
  return (
    <table className="compare-scores">
      <thead>
        <tr>
          <th scope="col">Score</th>
          {names.map((n, i) => (
            <th key={i} scope="col" className="num">
              {n}
            </th>
          ))}
        </tr>
      </thead>
      <tbody>
        {scores.map(([name, values]) => (
          <tr key={name}>
            <td>{name.replace(/_/g, " ")}</td>
            {values.map((v, i) => (
              <td key={i} className={i > 0 && v !== undefined && values[0] !== undefined && v !== values[0] ? "num ink changed" : "num"}>
                {figure(v)}
              </td>
            ))}
          </tr>
        ))}
      </tbody>
    </table>
  );
}

function Row({ row, names }: { row: ComparedRow; names: string[] }) {
  const loss = row.regression ?? 0;
  const said = row.sides.find((s, i) => i > 0 && s) ?? row.sides[0];
  return (
    <li>
      <details>
        <summary>
          <span className="muted num">{row.ordinal + 1}</span>
          <span className="ellipsis grow">{said?.error ?? (said?.text || "(empty)")}</span>
          {STATUS[row.status] && <Badge value={STATUS[row.status]} tone="wait" />}
          {row.status === "compared" && loss !== 0 && <Badge value={loss > 0 ? `worse by ${figure(loss)}` : `better by ${figure(-loss)}`} tone={loss > 0 ? "bad" : "good"} />}
        </summary>
        <div className="compare-row">
          <div className="compare-asked">
            <div>
              <h3>Input</h3>
              <Messages body={row.messages} label="Input" />
            </div>
            {row.references.length > 0 && (
              <div>
                <h3>Expected</h3>
                <Messages body={row.references[0]} label="Expected" />
              </div>
            )}
          </div>
          <div className="compare-sides">
            {row.sides.map((s, i) => (
              <Side key={i} side={s} name={names[i] ?? ""} first={i === 0} />
            ))}
          </div>
          <Scores row={row} names={names} />
        </div>
      </details>
    </li>
  );
}

export function ComparedRows({ runs, metrics }: { runs: EvalRun[]; metrics: string[] }) {
  const [search, patch] = useSearch();
  const asked = compareQuery(search, { metric: search.metric });
  const pages = usePages<Page<ComparedRow>>(`/evals/compare/rows?${asked}`, {});
  const names = runsOf(search).map((id, i) => {
    const run = runs.find((r) => r.id === id);
    return `${i === 0 ? "Baseline" : runsOf(search).length > 2 ? `Candidate ${i}` : "Candidate"}: ${run ? run.model || run.target : short(id)}`;
  });
  if (pages.error && !pages.data) return <Failure error={pages.error} again={() => void pages.refetch()} />;
  if (!pages.data) return <Loading />;
  const all = pages.data.pages.flatMap((p) => p.items);
  const rows = shownRows(all, search.rows ?? "");
  return (
    <Card
      title={`${full(rows.length)} samples${pages.hasNextPage ? " so far" : ""}`}
      actions={
        <>
          <label className="row">
            Sorted by loss of
            <select value={search.metric ?? ""} onChange={(e) => patch({ metric: e.target.value }, { replace: true })}>
              <option value="">all fractions</option>
              {metrics.map((m) => (
                <option key={m} value={m}>
                  {m.replace(/_/g, " ")}
                </option>
              ))}
            </select>
          </label>
          <select aria-label="Samples" value={search.rows ?? ""} onChange={(e) => patch({ rows: e.target.value }, { replace: true })}>
            <option value="">all</option>
            <option value="worse">worse</option>
            <option value="better">better</option>
            <option value="apart">not compared</option>
          </select>
        </>
      }
    >
      <ul className="samples">
        {rows.map((r) => (
          <Row key={r.sample_id} row={r} names={names} />
        ))}
      </ul>
      {rows.length === 0 && <p className="muted">None.</p>}
      {pages.hasNextPage && (
        <button type="button" className="button" disabled={pages.isFetchingNextPage} onClick={() => void pages.fetchNextPage()}>
          Load more
        </button>
      )}
    </Card>
  );
}
