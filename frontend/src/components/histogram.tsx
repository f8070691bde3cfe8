/** How many traces match over time; drawing a range with the mouse narrows the list to it. */
import { useContext, useMemo } from "react";
import { useQuery } from "@tanstack/react-query";
import { api, type ApiError } from "../api/client.ts";
import type { Bin, Page } from "../api/types.ts";
import { count, full } from "../lib/format.ts";
import { ProjectContext, useSearch } from "../lib/nav.tsx";
import { windowOf } from "../lib/time.ts";
import { Chart } from "./chart.tsx";

const NOTHING: Bin[] = [];

export function Histogram({ query, live }: { query: string; live: boolean }) {
  const [search, patch] = useSearch();
  const project = useContext(ProjectContext);
  const bins = useQuery<Page<Bin>, ApiError>({
    queryKey: [project, "/traces/histogram", query, search.range ?? "", search.since ?? "", search.until ?? ""],
    queryFn: ({ signal }) => api.get("/traces/histogram", { query, ...windowOf(search), buckets: 90 }, signal),
    placeholderData: (old) => old,
    refetchInterval: live ? 15_000 : false,
    retry: false,
  });
  const items = bins.data?.items ?? NOTHING;
  const x = useMemo(() => items.map((b) => Date.parse(b.at) / 1000), [items]);
  const series = useMemo(
    () => [
      { label: "traces", values: items.map((b) => b.traces), color: "--accent", bars: true, format: count },
      { label: "with errors", values: items.map((b) => b.errors), color: "--bad", bars: true, format: count },
    ],
    [items],
  );
  const sum = items.reduce((n, b) => n + b.traces, 0);
  if (bins.data && sum === 0) return null;
  if (bins.error) return <div className="charts one muted pad">{`The histogram cannot be drawn now: ${bins.error.message}`}</div>;
  return (
    <div className="charts one" aria-busy={bins.isFetching}>
      <Chart
        label={bins.data ? `${full(sum)} ${sum === 1 ? "trace" : "traces"}` : "Traces"}
        x={x}
        height={84}
        series={series}
        onBrush={(from, to) => patch({ since: new Date(from * 1000).toISOString(), until: new Date(to * 1000).toISOString(), range: undefined })}
      />
    </div>
  );
}
