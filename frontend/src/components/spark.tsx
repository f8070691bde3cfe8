/** Calls over the last day as small bars, failed ones on top in red; the figures are in words beside it. */
import type { Page, TimePoint } from "../api/types.ts";
import { plural } from "../lib/format.ts";
import { useGet } from "../lib/query.ts";

const WIDTH = 120;
const HEIGHT = 24;

export function Spark({ route, since }: { route: string; since: string }) {
  const points = useGet<Page<TimePoint>>("/timeseries", { route, since, bucket: 3600 }, { staleTime: 30_000, every: 30_000 });
  const items = points.data?.items ?? [];
  const top = Math.max(1, ...items.map((p) => p.calls));
  const calls = items.reduce((sum, p) => sum + p.calls, 0);
  const failed = items.reduce((sum, p) => sum + p.errors, 0);
  const start = Date.parse(since);
  const step = WIDTH / 25;
  return (
    <svg className="spark" viewBox={`0 0 ${WIDTH} ${HEIGHT}`} role="img" aria-label={`${plural(calls, "call")} in 24 hours, ${failed} failed`}>
      <line x1="0" x2={WIDTH} y1={HEIGHT - 0.5} y2={HEIGHT - 0.5} />
      {items.map((p) => {
        const x = ((Date.parse(p.time) - start) / 3_600_000) * step;
        const high = (p.calls / top) * (HEIGHT - 3);
        const bad = (p.errors / top) * (HEIGHT - 3);
        return (
          <g key={p.time}>
            <rect x={x} y={HEIGHT - 1 - high} width={step - 1} height={high} />
            {bad > 0 && <rect className="bad" x={x} y={HEIGHT - 1 - high} width={step - 1} height={Math.max(1.5, bad)} />}
          </g>
        );
      })}
    </svg>
  );
}

/** The start of the hour 24 hours ago: the same text for an hour long. */
export function dayAgo(now = Date.now()): string {
  return new Date(Math.floor(now / 3_600_000) * 3_600_000 - 86_400_000).toISOString();
}
