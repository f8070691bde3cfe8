import { useMemo } from "react";
import { path } from "../api/client.ts";
import type { MetricName, SignalPoint, Page } from "../api/types.ts";
import { Card, PageHead, Table } from "../components/bits.tsx";
import { Chart, type Series } from "../components/chart.tsx";
import { useBrush } from "../components/series.tsx";
import { Snippets } from "../components/snippets.tsx";
import { Empty, Ready } from "../components/state.tsx";
import { TimeRange } from "../components/timerange.tsx";
import { full, plural } from "../lib/format.ts";
import { A, stringifySearch, useSearch } from "../lib/nav.tsx";
import { usePages } from "../lib/query.ts";
import { formatOf, groupsOf, linesOf, type Measure, measuresOf } from "../lib/signals.ts";
import { windowOf } from "../lib/time.ts";

const RANGE = "24h";
/** Hours older than this are gone. */
const LONGEST = 400 * 86_400_000;
const TOP = 10;
const RANGES = ["24h", "7d", "30d", "90d"] as const;
const COLORS: Record<Measure, string> = { sum: "--accent", mean: "--accent", count: "--busy", low: "--good", high: "--bad", p50: "--accent", p95: "--warn", p99: "--bad" };

function Choice({ label, value, options, onPick }: { label: string; value: string; options: [string, string][]; onPick: (value: string) => void }) {
  return (
    <label className="row">
      {label}
      <select value={value} onChange={(e) => onPick(e.target.value)}>
        {options.map(([key, text]) => (
          <option key={key} value={key}>
            {text}
          </option>
        ))}
      </select>
    </label>
  );
}

function Figures({ points, metric, by }: { points: SignalPoint[]; metric: MetricName; by: string }) {
  const [search, patch] = useSearch();
  const brush = useBrush();
  const format = formatOf(metric.unit);
  const measures = measuresOf(metric.kind);
  const measure = measures.find((m) => m === search.measure) ?? measures[0]!;
  const groups = useMemo(() => groupsOf(points), [points]);
  const charts = useMemo((): [string, number[], Series[]][] => {
    const how = (m: Measure) => (m === "count" ? full : formatOf(metric.unit));
    if (by) {
      const names = groups.slice(0, TOP).map((g) => g.group);
      const { x, values } = linesOf(points, names, measure);
      return [[`${metric.name}, ${measure}`, x, names.map((g, i): Series => ({ label: g || "(none)", values: values[i]!, color: `--s${i % 10}`, format: how(measure) }))]];
    }
    const drawn = (list: Measure[], bars = false): [number[], Series[]] => {
      const lines = list.map((m) => linesOf(points, [""], m));
      return [lines[0]!.x, list.map((m, i): Series => ({ label: m, values: lines[i]!.values[0]!, color: COLORS[m], bars, format: how(m) }))];
    };
    if (metric.kind === "counter") return [["Added up by hour", ...drawn(["sum"], true)]];
    if (metric.kind === "gauge") return [["By hour", ...drawn(["mean", "low", "high"])]];
    return [["Percentiles", ...drawn(["p50", "p95", "p99"])], ["How many", ...drawn(["count"], true)]];
  }, [points, groups, by, measure, metric]);
  return (
    <>
      {by && (
        <div className="filters">
          <Choice label="Draw" value={measure} options={measures.map((m) => [m, m])} onPick={(m) => patch({ measure: m === measures[0] ? undefined : m }, { replace: true })} />
          {groups.length > TOP && <span className="muted">The {TOP} busiest of {full(groups.length)} are drawn; the table has all.</span>}
        </div>
      )}
      {charts.map(([title, x, series]) => (
        <Chart key={title} label={title} sync="metric" x={x} height={by ? 200 : 150} series={series} onBrush={brush} />
      ))}
      <div className="spaced" />
      <Card title={by ? `By ${by.replace("_", " ")}` : "In this time"} flush>
        <Table
          label={by ? `By ${by}` : "In this time"}
          rows={groups}
          keyOf={(g) => g.group}
          columns={[
            { head: by || "Series", cell: (g) => g.group || <span className="muted">{by ? "(none)" : "all together"}</span> },
            { head: "Points", cell: (g) => full(g.count), num: true },
            ...(metric.kind === "gauge" ? [] : [{ head: "Sum", cell: (g: { sum: number }) => format(g.sum), num: true }]),
            { head: "Mean", cell: (g) => format(g.count ? g.sum / g.count : null), num: true },
            { head: "Lowest", cell: (g) => format(g.low), num: true },
            { head: "Highest", cell: (g) => format(g.high), num: true },
          ]}
        />
      </Card>
    </>
  );
}

function Metric({ metric }: { metric: MetricName }) {
  const [search, patch] = useSearch();
  const by = metric.labels.includes(search.by ?? "") ? search.by! : "";
  const range = search.range ?? RANGE;
  const window = () => {
    const found = windowOf({ ...search, range });
    return { since: found.since ?? new Date(Date.now() - LONGEST).toISOString(), until: found.until };
  };
  const points = usePages<Page<SignalPoint>>(path`/metrics/otlp/${metric.name}`, { by, range, since: search.since, until: search.until }, { now: () => ({ range: undefined, ...window() }), every: search.until ? undefined : 30_000 });
  const items = useMemo(() => points.data?.pages.flatMap((p) => p.items) ?? [], [points.data]);
  return (
    <>
      <div className="filters">
        <Choice
          label="Split by"
          value={by}
          options={[["", "nothing"], ...metric.labels.map((l): [string, string] => [l, l.replace("_", " ")])]}
          onPick={(label) => patch({ by: label || undefined, measure: undefined })}
        />
        <span className="row grow muted">
          {`${metric.kind}${metric.unit && `, in ${metric.unit}`}, ${plural(metric.series, "series", "series")}`}
        </span>
        <TimeRange fallback={RANGE} presets={RANGES} />
      </div>
      <Ready query={points as never}>
        {() =>
          items.length ? (
            <Figures points={items} metric={metric} by={by} />
          ) : (
            <Empty title="Nothing was reported in this time">
              <A href={`/signals${stringifySearch({ metric: metric.name, range: "30d" })}`} className="button">
                Look at 30 days
              </A>
            </Empty>
          )
        }
      </Ready>
    </>
  );
}

const HOW = `# Any OpenTelemetry SDK; names that begin with gen_ai., llm., mcp. or a2a. are kept
export OTEL_METRICS_EXPORTER=otlp`;

export default function Metrics() {
  const [search] = useSearch();
  const names = usePages<Page<MetricName>>("/metrics/otlp", {}, { every: 60_000 });
  const rows = names.data?.pages.flatMap((p) => p.items) ?? [];
  const chosen = rows.find((m) => m.name === search.metric);
  return (
    <div className="page">
      <PageHead title={chosen?.name ?? "Metrics"} crumbs={chosen && [["Metrics", "/signals"]]} note={chosen ? undefined : <span className="muted">What applications measured and sent by OpenTelemetry, by hour</span>} />
      <Ready query={names as never}>
        {() =>
          chosen ? (
            <Metric key={chosen.name} metric={chosen} />
          ) : search.metric && rows.length ? (
            <Empty title={`No metric ${search.metric} was reported`}>
              <A href="/signals" className="button">
                All metrics
              </A>
            </Empty>
          ) : rows.length ? (
            <Card flush>
              <Table
                label="Metrics"
                rows={rows}
                keyOf={(m) => `${m.name} ${m.kind} ${m.unit}`}
                columns={[
                  { head: "Metric", cell: (m) => <A href={`/signals${stringifySearch({ metric: m.name })}`} className="mono">{m.name}</A> },
                  { head: "Kind", cell: (m) => m.kind },
                  { head: "Unit", cell: (m) => m.unit || "–", mono: true },
                  { head: "Series", cell: (m) => full(m.series), num: true },
                  { head: "Attributes", cell: (m) => m.labels.join(", ") || "–" },
                ]}
              />
            </Card>
          ) : (
            <Empty title="No metrics yet">
              <p className="muted">Token counts, durations and whatever else an instrumentation measures is kept here by hour.</p>
              <Snippets extra={HOW} />
            </Empty>
          )
        }
      </Ready>
    </div>
  );
}
