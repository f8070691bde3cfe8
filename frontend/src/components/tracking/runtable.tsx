/** The runs of an experiment as a table: ordered by any column, ticked to be compared. */
import type { ReactNode } from "react";
import { path } from "../../api/client.ts";
import type { TrackedRun } from "../../api/types.ts";
import { ms } from "../../lib/format.ts";
import { A } from "../../lib/nav.tsx";
import { type ColumnKey, fieldOf, kindOf, nameOf, programOf, written } from "../../lib/tracking.ts";
import { between } from "../../lib/time.ts";
import { Badge, When } from "../bits.tsx";

interface Props {
  runs: TrackedRun[];
  columns: ColumnKey[];
  picked: string[];
  onPick: (ids: string[]) => void;
  sort: string;
  onSort: (sort: string | undefined) => void;
}

function cellOf(run: TrackedRun, column: ColumnKey): ReactNode {
  const name = nameOf(column);
  if (kindOf(column) === "m") return <span title={run.metrics[name] ? `at step ${run.metrics[name].step}` : undefined}>{written(run.metrics[name])}</span>;
  const text = (kindOf(column) === "p" ? run.params : run.tags)[name];
  return text === undefined ? "–" : <span title={text}>{text.length > 40 ? `${text.slice(0, 39)}…` : text}</span>;
}

/** A head that orders the table: down, up, and as before. */
function Head({ column, label, num, sort, onSort }: { column: ColumnKey; label: ReactNode; num?: boolean; sort: string; onSort: (sort: string | undefined) => void }) {
  const up = sort === column;
  const down = sort === `-${column}`;
  return (
    <th scope="col" className={num ? "num" : undefined} aria-sort={up ? "ascending" : down ? "descending" : undefined}>
      {fieldOf(column) ? (
        <button type="button" className={up || down ? "sorter on" : "sorter"} onClick={() => onSort(down ? column : up ? undefined : `-${column}`)}>
          {label}
          <span aria-hidden="true">{up ? "↑" : down ? "↓" : "↕"}</span>
        </button>
      ) : (
        label
      )}
    </th>
  );
}

export function RunTable({ runs, columns, picked, onPick, sort, onSort }: Props) {
  const ids = runs.map((r) => r.id);
  const every = ids.length > 0 && ids.every((id) => picked.includes(id));
  const toggle = (id: string) => onPick(picked.includes(id) ? picked.filter((x) => x !== id) : [...picked, id]);
  return (
    <div className="table-scroll" tabIndex={0} role="region" aria-label="Runs">
      <table className="run-table">
        <thead>
          <tr>
            <th scope="col" className="tick-cell">
              <input type="checkbox" aria-label="Tick every run shown" checked={every} onChange={() => onPick(every ? [] : ids)} />
            </th>
            <Head column="name" label="Run" sort={sort} onSort={onSort} />
            <Head column="status" label="Status" sort={sort} onSort={onSort} />
            <Head column="started" label="Started" sort={sort} onSort={onSort} />
            <th scope="col" className="num">
              Took
            </th>
            {columns.map((c) => (
              <Head
                key={c}
                column={c}
                num={kindOf(c) === "m"}
                sort={sort}
                onSort={onSort}
                label={
                  <span className="ellipsis" title={nameOf(c)}>
                    {nameOf(c)}
                  </span>
                }
              />
            ))}
            <Head column="user" label="User" sort={sort} onSort={onSort} />
            <th scope="col">Program</th>
          </tr>
        </thead>
        <tbody>
          {runs.map((r) => (
            <tr key={r.id} className={picked.includes(r.id) ? "on" : undefined}>
              <td className="tick-cell">
                <input type="checkbox" aria-label={`Tick ${r.name}`} checked={picked.includes(r.id)} onChange={() => toggle(r.id)} />
              </td>
              <td>
                <A href={path`/experiments/runs/${r.id}`}>{r.name}</A>
              </td>
              <td>
                <Badge value={r.status} />
              </td>
              <td>
                <When at={r.started_at} />
              </td>
              <td className="num">{ms(between(r.started_at, r.ended_at))}</td>
              {columns.map((c) => (
                <td key={c} className={kindOf(c) === "m" ? "num" : kindOf(c) === "p" ? "mono" : undefined}>
                  {cellOf(r, c)}
                </td>
              ))}
              <td>{r.user || "–"}</td>
              <td title={r.tags["mlflow.source.name"]}>{programOf(r) || "–"}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
