/** Charts from /timeseries, over the address's time range. */
import { useContext, useMemo } from "react";
import { useQuery } from "@tanstack/react-query";
import { api, type ApiError, type Params } from "../api/client.ts";
import type { Page, TimePoint } from "../api/types.ts";
import { count, usd } from "../lib/format.ts";
import { ProjectContext, useSearch } from "../lib/nav.tsx";
import { linesOf } from "../lib/series.ts";
import { windowOf } from "../lib/time.ts";
import { Chart } from "./chart.tsx";

const NOTHING: TimePoint[] = [];
const QUARTER = 90 * 86_400_000;

/** A relative range stays relative in the query's key; the window is taken when the question is asked. */
export function useSeries(params: Params, fallback?: string, url = "/timeseries") {
  const [search] = useSearch();
  const project = useContext(ProjectContext);
  return useQuery<Page<TimePoint>, ApiError>({
    queryKey: [project, url, params, search.range ?? "", search.since ?? "", search.until ?? ""],
    queryFn: ({ signal }) => {
      const window = windowOf(fallback && !search.range ? { ...search, range: fallback } : search);
      // "All time" has no beginning that a series could start at: the last quarter is drawn.
      return api.get(url, { ...params, ...window, since: window.since ?? new Date(Date.now() - QUARTER).toISOString() }, signal);
    },
    placeholderData: (old) => old,
    refetchInterval: search.until ? false : 15_000,
  });
}

/** Draw a range with the mouse, and the whole page looks at it. */
export function useBrush() {
  const [, patch] = useSearch();
  return (from: number, to: number) => patch({ since: new Date(from * 1000).toISOString(), until: new Date(to * 1000).toISOString(), range: undefined });
}

export function CallsAndCost({ params }: { params: Params }) {
  const points = useSeries(params);
  const brush = useBrush();
  const items = points.data?.items ?? NOTHING;
  const { x, values } = useMemo(() => linesOf(items, null, (p) => p.calls, 0), [items]);
  const calls = useMemo(() => [{ label: "calls", values: values[0] ?? [], color: "--accent", bars: true, format: count }, { label: "errors", values: linesOf(items, null, (p) => p.errors, 0).values[0] ?? [], color: "--bad", bars: true, format: count }], [items, values]);
  const cost = useMemo(() => [{ label: "cost", values: linesOf(items, null, (p) => p.cost_usd ?? 0, 0).values[0] ?? [], color: "--violet", bars: true, format: usd }], [items]);
  if (points.error) return <p className="muted spaced">The charts cannot be drawn now: {points.error.message}</p>;
  return (
    <div className="charts spaced">
      <Chart label="Calls" sync="one" x={x} height={96} series={calls} onBrush={brush} />
      <Chart label="Cost" sync="one" x={x} height={96} series={cost} onBrush={brush} />
    </div>
  );
}
