import type { Page, TimePoint } from "../api/types.ts";
import { count, ms } from "../lib/format.ts";
import { useSearch } from "../lib/nav.tsx";
import { windowOf } from "../lib/time.ts";
import { Chart } from "./chart.tsx";
import { useContext } from "react";
import { useQuery } from "@tanstack/react-query";
import { api, type ApiError, type Params } from "../api/client.ts";
import { ProjectContext } from "../lib/nav.tsx";

/** What the roll-ups behind the charts can be narrowed by. */
const KNOWN = ["kind", "model", "provider", "route", "key"];

/** Calls, errors and latency over the chosen window; drawing a range with the mouse narrows it. */
export function TraceCharts({ filters, live }: { filters: Params; live: boolean }) {
  const [search, patch] = useSearch();
  const project = useContext(ProjectContext);
  const points = useQuery<Page<TimePoint>, ApiError>({
    queryKey: [project, "/timeseries", filters, search.range ?? "", search.since ?? "", search.until ?? ""],
    queryFn: ({ signal }) => {
      const window = windowOf(search);
      const since = window.since ?? new Date(Date.now() - 90 * 86_400_000).toISOString();
      const own = Object.fromEntries(Object.entries(filters).filter(([name]) => KNOWN.includes(name)));
      return api.get("/timeseries", { ...own, ...window, since }, signal);
    },
    placeholderData: (old) => old,
    refetchInterval: live ? 15_000 : false,
  });
  const ignored = Object.keys(filters).filter((name) => !KNOWN.includes(name));
  const label = ignored.length ? `Calls (without the filter on ${ignored.join(", ")})` : "Calls";
  const items = points.data?.items ?? [];
  const x = items.map((p) => Date.parse(p.time) / 1000);
  const brush = (from: number, to: number) => patch({ since: new Date(from * 1000).toISOString(), until: new Date(to * 1000).toISOString(), range: undefined });
  if (points.error) return <div className="charts muted pad">The charts cannot be drawn now: {points.error.message}</div>;
  return (
    <div className="charts">
      <Chart
        label={label}
        sync="traces"
        x={x}
        onBrush={brush}
        height={96}
        series={[
          { label: "calls", values: items.map((p) => p.calls), color: "--accent", bars: true, format: count },
          { label: "errors", values: items.map((p) => p.errors), color: "--bad", bars: true, format: count },
        ]}
      />
      <Chart
        label="Latency"
        sync="traces"
        x={x}
        onBrush={brush}
        height={96}
        series={[
          { label: "p50", values: items.map((p) => p.p50_ms), color: "--accent", format: ms },
          { label: "p95", values: items.map((p) => p.p95_ms), color: "--warn", format: ms },
        ]}
      />
    </div>
  );
}
