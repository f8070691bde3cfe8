/** Histories of metrics of several runs, as the curves read them. */
import { useMemo } from "react";
import type { TrackedRun, TrackedSeries } from "../../api/types.ts";
import { useGet } from "../../lib/query.ts";
import { labelsOf } from "../../lib/runs.ts";
import { curved, going, pointsOf } from "../../lib/tracking.ts";
import type { Source } from "../curves.tsx";

/** Most runs whose curves are drawn over each other. */
export const MOST = 20;

export const namesOf = (runs: TrackedRun[]) => labelsOf(runs.map((r) => ({ id: r.id, name: r.name, model: null })));

/** The curves of `runs`, or of one metric of them; again and again while one of them goes on. */
export function useHistories(runs: TrackedRun[], keys: string[] = []) {
  const asked = runs.slice(0, MOST);
  const query = new URLSearchParams([...asked.map((r) => ["run", r.id]), ...keys.map((k) => ["key", k]), ["points", asked.length > 4 ? "400" : "1000"]]);
  const series = useGet<TrackedSeries[]>(`/runs/compare?${query}`, undefined, { enabled: asked.length > 0, every: asked.some((r) => going(r.status)) ? 3_000 : false, keep: true });
  const shape = asked.map((r) => `${r.id} ${r.name}`).join();
  const sources = useMemo((): Source[] => {
    const labels = namesOf(asked);
    return asked.map((r, i) => ({ id: r.id, label: labels[i]!, points: pointsOf(series.data ?? [], r.id) }));
  }, [series.data, shape]);
  const names = useMemo(() => curved(series.data ?? []), [series.data]);
  return { series, sources, names };
}
