/** A search's trials: by number, against each other, and what moved them. */
import { useMemo } from "react";
import { path } from "../../api/client.ts";
import type { Objective, SearchTrial, TrainingSearch } from "../../api/types.ts";
import { figure, percent } from "../../lib/format.ts";
import { A, useSearch } from "../../lib/nav.tsx";
import { readRanges, within, writeRanges } from "../../lib/ranges.ts";
import { axesOf, type Line, planOf, title, writerOf } from "../../lib/runs.ts";
import { Badge, Card } from "../bits.tsx";
import { Chart } from "../chart.tsx";
import { Parallel } from "../parallel.tsx";
import { Scatter } from "../scatter.tsx";

/** A trial's value of the n-th objective. */
export function valueOf(trial: SearchTrial, objectives: Objective[], n: number): number | null {
  const v = trial.values[objectives[n]?.metric ?? ""];
  return typeof v === "number" && Number.isFinite(v) ? v : null;
}

const wordOf = (v: unknown): string | number | undefined => (v === null || v === undefined ? undefined : typeof v === "number" ? v : String(v));

/** The first objective by trial, and the best so far. */
export function History({ search }: { search: TrainingSearch }) {
  const objectives = planOf(search).objectives;
  const o = objectives[0];
  const { x, series } = useMemo(() => {
    const done = search.trials.filter((t) => valueOf(t, objectives, 0) !== null).sort((a, b) => a.number - b.number);
    const values = done.map((t) => valueOf(t, objectives, 0)!);
    let best = o?.direction === "maximize" ? -Infinity : Infinity;
    const bests = values.map((v) => (best = o?.direction === "maximize" ? Math.max(best, v) : Math.min(best, v)));
    const write = writerOf(o?.metric ?? "");
    return {
      x: done.map((t) => t.number),
      series: [
        { label: "trial", values, color: "--ink-2", format: write },
        { label: "best so far", values: bests, color: "--accent", format: write },
      ],
    };
  }, [search, o]);
  if (!x.length) return <p className="muted">No trial has ended yet.</p>;
  return <Chart label={title(o?.metric ?? "value")} time={false} axis="trial" height={180} x={x} series={series} />;
}

export function Importance({ search }: { search: TrainingSearch }) {
  const [address] = useSearch();
  const { objectives } = planOf(search);
  const objective = objectives[Number(address.y ?? 0)]?.metric ?? objectives[0]?.metric ?? "";
  const sorted = Object.entries(search.importances[objective] ?? {}).sort((a, b) => b[1] - a[1]);
  if (!sorted.length) return <p className="muted">Importance is worked out once a few trials have ended.</p>;
  return (
    <ul className="bars" aria-label="Importance of parameters">
      {sorted.map(([name, share]) => (
        <li key={name}>
          <span className="bar-name" title={name}>
            {name}
          </span>
          <span className="bar-rail" aria-hidden="true">
            <span style={{ width: `${Math.min(1, Math.max(0, share)) * 100}%` }} />
          </span>
          <span className="bar-n">{percent(share, 0)}</span>
        </li>
      ))}
    </ul>
  );
}

/** Two objectives against each other, or an objective against a parameter. */
export function TradeOff({ search }: { search: TrainingSearch }) {
  const [address, patch] = useSearch();
  const { objectives } = planOf(search);
  const two = objectives.length > 1;
  const params = useMemo(() => [...new Set(search.trials.flatMap((t) => Object.entries(t.params).flatMap(([k, v]) => (typeof v === "number" ? [k] : []))))], [search.trials]);
  const yAt = Math.min(Number(address.y ?? 0), objectives.length - 1);
  const other = address.x ?? (two ? `objective ${yAt === 0 ? 1 : 0}` : (params[0] ?? ""));
  const xAt = other.startsWith("objective ") ? Number(other.slice(10)) : -1;
  const dots = search.trials.flatMap((t) => {
    const y = valueOf(t, objectives, yAt);
    const raw = xAt >= 0 ? valueOf(t, objectives, xAt) : t.params[other];
    if (y === null || typeof raw !== "number") return [];
    return [{ id: String(t.number), label: `trial ${t.number}`, x: raw, y, tone: search.pareto.includes(t.number) ? ("chosen" as const) : ("plain" as const) }];
  });
  const xs = dots.map((d) => d.x);
  const spread = xs.length > 0 && Math.min(...xs) > 0 && Math.max(...xs) / Math.min(...xs) >= 20;
  const xName = xAt >= 0 ? (objectives[xAt]?.metric ?? "") : other;
  const axis = (name: string, direction: Objective["direction"]) => ({ name: title(name), direction, write: (n: number) => writerOf(name)(n) });
  return (
    <Card
      title="Trade-off"
      actions={
        <>
          {two && (
            <label className="row small">
              Up
              <select value={String(yAt)} onChange={(e) => patch({ y: e.target.value === "0" ? undefined : e.target.value }, { replace: true })}>
                {objectives.map((o, i) => (
                  <option key={o.metric} value={i}>
                    {o.metric}
                  </option>
                ))}
              </select>
            </label>
          )}
          <label className="row small">
            Across
            <select value={other} onChange={(e) => patch({ x: e.target.value }, { replace: true })}>
              {objectives.map((o, i) => (i === yAt ? null : <option key={o.metric} value={`objective ${i}`}>{o.metric}</option>))}
              {params.map((p) => (
                <option key={p}>{p}</option>
              ))}
            </select>
          </label>
        </>
      }
    >
      {dots.length ? (
        <Scatter label={`${objectives[yAt]?.metric} against ${xName}`} dots={dots} x={{ ...axis(xName, xAt >= 0 ? objectives[xAt]!.direction : "minimize"), log: spread, plain: xAt < 0 }} y={axis(objectives[yAt]?.metric ?? "", objectives[yAt]?.direction ?? "minimize")} picked={address.trial} onPick={(id) => patch({ trial: address.trial === id ? undefined : id }, { replace: true })} named={dots.length <= 40} />
      ) : (
        <p className="muted">No trial has ended yet.</p>
      )}
    </Card>
  );
}

export function Trials({ search }: { search: TrainingSearch }) {
  const [address, patch] = useSearch();
  const { objectives } = planOf(search);
  const params = useMemo(() => [...new Set(search.trials.flatMap((t) => Object.keys(t.params)))], [search.trials]);
  const lines = useMemo(
    () =>
      search.trials
        .filter((t) => valueOf(t, objectives, 0) !== null)
        .map((t): Line => ({ id: String(t.number), label: `trial ${t.number}`, values: { ...Object.fromEntries(params.map((p) => [p, wordOf(t.params[p])])), ...Object.fromEntries(objectives.map((o, i) => [o.metric, valueOf(t, objectives, i) ?? undefined])) } })),
    [search.trials, objectives, params],
  );
  const names = useMemo(() => [...params, ...objectives.map((o) => o.metric)], [params, objectives]);
  const ranges = readRanges(address.only);
  const kept = within(lines, axesOf(lines, names), ranges);
  const narrowed = Object.keys(ranges).length > 0;
  const by = address.sort ?? "0";
  const rows = useMemo(() => {
    const list = narrowed ? search.trials.filter((t) => kept.has(String(t.number))) : [...search.trials];
    const n = Number(by);
    if (by === "number") return list.sort((a, b) => b.number - a.number);
    const sign = objectives[n]?.direction === "maximize" ? -1 : 1;
    return list.sort((a, b) => {
      const [x, y] = [valueOf(a, objectives, n), valueOf(b, objectives, n)];
      return x === null ? (y === null ? b.number - a.number : 1) : y === null ? -1 : (x - y) * sign;
    });
  }, [search.trials, objectives, by, narrowed, address.only]);
  return (
    <>
      <Card title="Parallel coordinates" actions={<span className="muted small">Draw along an axis to narrow</span>}>
        {lines.length ? <Parallel label="Trials" lines={lines} names={names} ranges={ranges} onRanges={(r) => patch({ only: writeRanges(r) }, { replace: true })} picked={address.trial} onPick={(id) => patch({ trial: id }, { replace: true })} best={new Set(search.pareto.map(String))} /> : <p className="muted">No trial has ended yet.</p>}
      </Card>
      <Card
        title={narrowed ? `${rows.length} of ${search.trials.length} trials` : `${search.trials.length} trials`}
        flush
        actions={
          <>
            {narrowed && (
              <button type="button" className="button small" onClick={() => patch({ only: undefined }, { replace: true })}>
                Show all
              </button>
            )}
            <label className="row small">
              Sorted by
              <select value={by} onChange={(e) => patch({ sort: e.target.value === "0" ? undefined : e.target.value }, { replace: true })}>
                {objectives.map((o, i) => (
                  <option key={o.metric} value={i}>
                    {o.metric}
                  </option>
                ))}
                <option value="number">newest</option>
              </select>
            </label>
          </>
        }
      >
        <div className="table-scroll" tabIndex={0} role="region" aria-label="Trials">
          <table>
            <thead>
              <tr>
                <th scope="col" className="num">
                  Trial
                </th>
                <th scope="col">State</th>
                {objectives.map((o) => (
                  <th key={o.metric} scope="col" className="num">
                    {o.metric}
                  </th>
                ))}
                {params.map((p) => (
                  <th key={p} scope="col" className="num">
                    {p}
                  </th>
                ))}
                <th scope="col">Run</th>
              </tr>
            </thead>
            <tbody>
              {rows.map((t) => (
                <tr key={t.number} className={address.trial === String(t.number) ? "on" : undefined} aria-current={address.trial === String(t.number) ? "true" : undefined}>
                  <td className="num">{t.number}</td>
                  <td>
                    <Badge value={t.state} /> {search.pareto.includes(t.number) && <Badge value="best" tone="good" />}
                  </td>
                  {objectives.map((o, i) => (
                    <td key={o.metric} className="num">
                      {writerOf(o.metric)(valueOf(t, objectives, i))}
                    </td>
                  ))}
                  {params.map((p) => {
                    const v = t.params[p];
                    return (
                      <td key={p} className="num">
                        {typeof v === "number" ? figure(v) : String(v ?? "–")}
                      </td>
                    );
                  })}
                  <td title={t.error ?? undefined}>{t.run_id ? <A href={path`/training/${t.run_id}`}>run</A> : "–"}</td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      </Card>
    </>
  );
}
