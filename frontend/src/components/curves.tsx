/** A run's figures over its steps or its time; several runs lie over each other. */
import { useMemo } from "react";
import type { MetricPoint } from "../api/types.ts";
import { figure } from "../lib/format.ts";
import { useSearch } from "../lib/nav.tsx";
import { type Curve, curvesOf, isResource, smoothed, title, writerOf } from "../lib/runs.ts";
import { Chart, type Series } from "./chart.tsx";

export interface Source {
  id: string;
  label: string;
  points: MetricPoint[];
}

export const colorOf = (i: number) => `--s${i % 10}`;

/** One drawing of one figure, with every source that has it on a common x. */
function drawn(name: string, sources: { label: string; curve: Curve | undefined; color: string }[], weight: number, log: boolean): { x: number[]; series: Series[]; last: number | null } {
  const x = [...new Set(sources.flatMap((s) => s.curve?.x ?? []))].sort((a, b) => a - b);
  const at = new Map(x.map((v, i) => [v, i]));
  const logs = log && /loss/.test(name) && sources.every((s) => !s.curve || s.curve.y.every((v) => v > 0));
  const write = writerOf(name);
  const series = sources
    .filter((s) => s.curve)
    .map((s): Series => {
      const values: (number | null)[] = x.map(() => null);
      smoothed(s.curve!.y, weight).forEach((v, i) => {
        values[at.get(s.curve!.x[i]!)!] = logs ? Math.log10(v) : v;
      });
      return { label: s.label, values, color: s.color, format: logs ? (n) => (n === null ? "–" : figure(10 ** n)) : write };
    });
  return { x, series, last: sources.length === 1 ? (sources[0]!.curve?.y.at(-1) ?? null) : null };
}

function Drawing({ name, sources, wide }: { name: string; sources: { label: string; curve: Curve | undefined; color: string }[]; wide: boolean }) {
  const [search] = useSearch();
  const weight = Number(search.smooth ?? 0);
  const log = search.log === "1";
  const { x, series, last } = useMemo(() => drawn(name, sources, weight, log), [name, sources, weight, log]);
  return (
    <div className={wide ? "wide" : undefined}>
      <Chart key={`${log} ${search.x}`} label={`${title(name)}${last === null ? "" : `  ${writerOf(name)(last)}`}`} time={false} axis={search.x === "time" ? "second" : "step"} sync="training" height={wide ? 230 : 130} x={x} series={series} bare={!wide || sources.length > 8} />
    </div>
  );
}

export function Curves({ sources, show, names: only, empty }: { sources: Source[]; show: "learning" | "resources"; /** Only these figures. */ names?: string[]; empty: string }) {
  const [search] = useSearch();
  const axis = search.x === "time" ? "time" : "step";
  const made = useMemo(() => sources.map((s) => ({ label: s.label, curves: curvesOf(s.points, axis) })), [sources, axis]);
  const drawings = useMemo(() => {
    const names = [...new Set(made.flatMap((m) => m.curves.map((c) => c.name)))].filter((n) => isResource(n) === (show === "resources") && (!only || only.includes(n)));
    return names.map((name) => ({ name, sources: made.map((m, i) => ({ label: m.label, curve: m.curves.find((c) => c.name === name), color: made.length === 1 ? "--accent" : colorOf(i) })) }));
  }, [made, show, only]);
  if (!drawings.length) return <p className="muted">{empty}</p>;
  return (
    <div className="curves">
      {drawings.map((d, i) => (
        <Drawing key={d.name} {...d} wide={i === 0 && show === "learning"} />
      ))}
    </div>
  );
}

/** How the curves are drawn; all of it lives in the address. */
export function CurveTools() {
  const [search, patch] = useSearch();
  const weight = search.smooth ?? "0";
  return (
    <>
      <label className="row small">
        Smooth
        <input type="range" min={0} max={0.98} step={0.02} value={weight} onChange={(e) => patch({ smooth: Number(e.target.value) ? e.target.value : undefined }, { replace: true })} />
      </label>
      <button type="button" className="button small" aria-pressed={search.log === "1"} onClick={() => patch({ log: search.log === "1" ? undefined : "1" }, { replace: true })}>
        Loss by ratio
      </button>
      <div className="segments" role="group" aria-label="Drawn over">
        {(["step", "time"] as const).map((x) => (
          <button key={x} type="button" aria-pressed={(search.x ?? "step") === x} onClick={() => patch({ x: x === "step" ? undefined : x }, { replace: true })}>
            {x === "step" ? "Steps" : "Time"}
          </button>
        ))}
      </div>
    </>
  );
}
