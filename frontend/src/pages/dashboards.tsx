import { useContext, useMemo } from "react";
import { useQuery } from "@tanstack/react-query";
import { api, type ApiError } from "../api/client.ts";
import type { Facet, Key, Page, TimePoint, GroupUsage } from "../api/types.ts";
import { Card, Facts, PageHead, Table } from "../components/bits.tsx";
import { Chart, type Series } from "../components/chart.tsx";
import { useBrush, useSeries } from "../components/series.tsx";
import { Snippets } from "../components/snippets.tsx";
import { Empty, Failure, Loading } from "../components/state.tsx";
import { TimeRange } from "../components/timerange.tsx";
import { csv, save } from "../lib/csv.ts";
import { count, full, ms, type Num, percent, usd } from "../lib/format.ts";
import { A, ProjectContext, stringifySearch, useSearch, type Search } from "../lib/nav.tsx";
import { useGet } from "../lib/query.ts";
import { groupsOf, linesOf, type Measure, OTHERS, share } from "../lib/series.ts";
import { total } from "../lib/spend.ts";
import { windowOf } from "../lib/time.ts";
import { withTerm } from "../lib/traceql.ts";

const RANGE = "24h";
const TOP = 8;

/** What calls can be told apart by; `only` where the series cannot be narrowed to one of them. */
const DIMENSIONS: [key: string, label: string][] = [
  ["model", "Model"],
  ["requested_model", "Asked-for model"],
  ["provider", "Provider"],
  ["route", "Route"],
  ["key", "Key"],
  ["user", "User"],
  ["environment", "Environment"],
  ["prompt", "Prompt"],
  ["status", "Status"],
  ["service", "Service"],
  ["agent", "Agent"],
  ["session", "Session"],
  ["tag", "Tag"],
  ["kind", "Kind"],
  ["project", "Project"],
];
const FILTERS = DIMENSIONS.map(([key]) => key).filter((key) => key !== "project");
const METADATA = "metadata.";
const labelOf = (by: string) => DIMENSIONS.find(([key]) => key === by)?.[1] ?? by;

/** Conditions as the API takes them: metadata as `name=value`, more than one of it repeated. */
function asked(url: string, filters: Record<string, string>): [url: string, params: Record<string, string>] {
  const metadata = Object.entries(filters).filter(([field]) => field.startsWith(METADATA));
  const rest = Object.fromEntries(Object.entries(filters).filter(([field]) => !field.startsWith(METADATA)));
  const pairs = metadata.map(([field, value]) => ["metadata", `${field.slice(METADATA.length)}=${value}`]);
  return [pairs.length ? `${url}?${new URLSearchParams(pairs)}` : url, rest];
}
const NOTHING: TimePoint[] = [];

interface Panel {
  key: string;
  title: string;
  /** Lines of the whole; the first is drawn for each group when the page is split. */
  lines: [label: string, measure: Measure, color: string][];
  format: (n: Num) => string;
  /** What stands where nothing happened. */
  gap: number | null;
  bars?: boolean;
}

const whole = (n: Num) => percent(n, 0);
const PANELS: Panel[] = [
  { key: "calls", title: "Calls", lines: [["calls", (p) => p.calls, "--accent"]], format: count, gap: 0, bars: true },
  { key: "errors", title: "Errors", lines: [["share of calls", (p) => share(p.errors, p.calls), "--bad"]], format: (n) => percent(n), gap: null },
  { key: "latency", title: "Latency", lines: [["p50", (p) => p.p50_ms, "--accent"], ["p95", (p) => p.p95_ms, "--warn"], ["p99", (p) => p.p99_ms, "--bad"]], format: ms, gap: null },
  { key: "ttft", title: "Time to first token", lines: [["p50", (p) => p.ttft_p50_ms, "--accent"], ["p95", (p) => p.ttft_p95_ms ?? null, "--warn"]], format: ms, gap: null },
  { key: "tokens", title: "Tokens", lines: [["input", (p) => p.input_tokens ?? 0, "--busy"], ["output", (p) => p.output_tokens ?? 0, "--violet"]], format: count, gap: 0 },
  { key: "cost", title: "Cost", lines: [["cost", (p) => p.cost_usd ?? 0, "--violet"]], format: usd, gap: 0, bars: true },
  { key: "cache", title: "Prompt cache", lines: [["input tokens from the cache", (p) => share(p.cached_tokens, p.input_tokens), "--good"]], format: whole, gap: null },
  { key: "hits", title: "Gateway cache", lines: [["answers from the cache", (p) => share(p.cache_hits, p.calls), "--good"]], format: whole, gap: null },
];

const color = (i: number) => `--s${i % 10}`;

/** Which line of a panel is drawn for each group: `line=latency:p99`. */
function lineOf(panel: Panel, search: Search): number {
  return Math.max(0, panel.lines.findIndex(([label]) => search[panel.key] === label));
}

function PanelChart({ panel, items, groups, search, patch, named }: { panel: Panel; items: TimePoint[]; groups: string[] | null; search: Search; patch: ReturnType<typeof useSearch>[1]; named: (g: string) => string }) {
  const brush = useBrush();
  const at = lineOf(panel, search);
  const { x, series } = useMemo((): { x: number[]; series: Series[] } => {
    if (groups) {
      const { x, values } = linesOf(items, groups, panel.lines[at]![1], panel.gap);
      return { x, series: groups.map((g, i) => ({ label: named(g), values: values[i]!, color: g === OTHERS ? "--ink-2" : color(i), format: panel.format })) };
    }
    const lines = panel.lines.map(([label, measure, color]): Series => ({ label, values: linesOf(items, null, measure, panel.gap).values[0]!, color, bars: panel.bars, fill: panel.key === "tokens", format: panel.format }));
    return { x: linesOf(items, null, (p) => p.calls, 0).x, series: lines };
  }, [items, groups, panel, at, named]);
  return (
    <section className="card panel" aria-label={panel.title}>
      {groups && panel.lines.length > 1 && (
        <select className="panel-line" aria-label={`${panel.title}: which`} value={panel.lines[at]![0]} onChange={(e) => patch({ [panel.key]: e.target.value === panel.lines[0]![0] ? undefined : e.target.value }, { replace: true })}>
          {panel.lines.map(([label]) => (
            <option key={label}>{label}</option>
          ))}
        </select>
      )}
      <Chart label={panel.title} bare={!!groups} sync="dashboard" x={x} height={132} series={series} onBrush={brush} />
    </section>
  );
}

function useUsage(by: string, filters: Record<string, string>) {
  const [search] = useSearch();
  const project = useContext(ProjectContext);
  return useQuery<Page<GroupUsage>, ApiError>({
    queryKey: [project, "/usage", by, filters, search.range ?? "", search.since ?? "", search.until ?? ""],
    queryFn: ({ signal }) => {
      const [url, params] = asked("/usage", filters);
      return api.get(url, { group_by: by, ...params, ...windowOf(search.range ? search : { ...search, range: RANGE }) }, signal);
    },
    placeholderData: (old, query) => (query?.queryKey[2] === by ? old : undefined),
    refetchInterval: search.until ? false : 15_000,
  });
}

function Groups({ rows, by, named, colors, filters, search }: { rows: GroupUsage[]; by: string; named: (g: string) => string; colors: Map<string, string>; filters: Record<string, string>; search: Search }) {
  const sum = total(rows);
  const label = labelOf(by);
  const traces = (u: GroupUsage) => {
    const wanted = { ...filters, ...(by === "project" || u.group == null ? {} : { [by]: u.group }) };
    const query = Object.entries(wanted).reduce((text, [field, value]) => withTerm(text, field, value), "");
    return `/traces${stringifySearch({ query, range: search.since || search.until ? undefined : (search.range ?? RANGE), since: search.since, until: search.until, project: by === "project" ? (u.group ?? undefined) : search.project })}`;
  };
  const narrow = (u: GroupUsage) => (by === "project" ? stringifySearch({ ...search, project: u.group, by: undefined }) : stringifySearch({ ...search, [by]: u.group, by: undefined }));
  return (
    <Table
      label={`By ${label.toLowerCase()}`}
      rows={rows}
      keyOf={(u) => u.group ?? "\n"}
      columns={[
        {
          head: label,
          cell: (u) => (
            <span className="row">
              <i className="swatch" style={{ background: `var(${colors.get(u.group ?? OTHERS) ?? "--line-2"})` }} />
              {u.group == null ? (
                <span className="muted">others</span>
              ) : u.group ? (
                <A href={`/dashboards${narrow(u)}`} className="cut ellipsis" title={`Only ${named(u.group)}`}>
                  {named(u.group)}
                </A>
              ) : (
                <span className="muted">(none)</span>
              )}
            </span>
          ),
        },
        { head: "Calls", cell: (u) => (u.group == null ? full(u.calls) : <A href={traces(u)} title="These traces">{full(u.calls)}</A>), num: true },
        { head: "Errors", cell: (u) => (u.errors ? <span title={full(u.errors)} className="bad-ink">{percent(share(u.errors, u.calls))}</span> : "0"), num: true },
        { head: "p50", cell: (u) => ms(u.p50_ms ?? null), num: true },
        { head: "p95", cell: (u) => ms(u.p95_ms ?? null), num: true },
        { head: "p99", cell: (u) => ms(u.p99_ms ?? null), num: true },
        { head: "First token", cell: (u) => ms(u.ttft_p50_ms ?? null), num: true },
        { head: "Input", cell: (u) => <span title={full(u.input_tokens)}>{count(u.input_tokens)}</span>, num: true },
        { head: "Cached", cell: (u) => whole(share(u.cached_tokens, u.input_tokens)), num: true },
        { head: "Output", cell: (u) => <span title={full(u.output_tokens)}>{count(u.output_tokens)}</span>, num: true },
        { head: "Hits", cell: (u) => whole(share(u.cache_hits, u.calls)), num: true },
        { head: "Cost", cell: (u) => usd(u.cost_usd), num: true },
        { head: "Share", cell: (u) => (sum.cost_usd ? percent((u.cost_usd ?? 0) / sum.cost_usd, 0) : "–"), num: true },
      ]}
    />
  );
}

function download(rows: GroupUsage[], by: string): void {
  const head = ["calls", "errors", "input_tokens", "cached_tokens", "output_tokens", "reasoning_tokens", "cache_hits", "cost_usd", "unpriced", "p50_ms", "p95_ms", "p99_ms", "ttft_p50_ms"] as const;
  save(`${by}.csv`, csv([[by, ...head], ...rows.map((u) => [u.group ?? OTHERS, ...head.map((h) => u[h] ?? null)])]));
}

function Controls({ search, patch, filters, keys, named }: { search: Search; keys: string[]; patch: ReturnType<typeof useSearch>[1]; filters: Record<string, string>; named: (field: string, value: string) => string }) {
  return (
    <div className="filters">
      <label className="row">
        Split by
        <select value={search.by ?? ""} onChange={(e) => patch({ by: e.target.value || undefined })}>
          <option value="">nothing</option>
          {DIMENSIONS.filter(([key]) => !filters[key]).map(([key, label]) => (
            <option key={key} value={key}>
              {label.toLowerCase()}
            </option>
          ))}
          {keys.filter((key) => !filters[key]).map((key) => (
            <option key={key} value={key}>
              {key}
            </option>
          ))}
        </select>
      </label>
      {Object.entries(filters).map(([field, value]) => (
        <button key={field} type="button" className="chip" aria-label={`Remove filter ${field} ${value}`} onClick={() => patch({ [field]: undefined })}>
          {labelOf(field)} <b>{named(field, value)}</b> <span aria-hidden="true">×</span>
        </button>
      ))}
      <span className="grow" />
      <TimeRange fallback={RANGE} />
    </div>
  );
}

export default function Dashboards() {
  const [search, patch] = useSearch();
  const by = search.by && (search.by.startsWith(METADATA) || DIMENSIONS.some(([key]) => key === search.by)) ? search.by : "";
  const filters: Record<string, string> = useMemo(() => Object.fromEntries(Object.entries(search).filter(([f, value]) => value && (FILTERS.includes(f) || f.startsWith(METADATA)))), [search]);
  const [series, narrowed] = asked("/timeseries", filters);
  const points = useSeries({ ...narrowed, ...(by ? { by, top: TOP } : {}) }, RANGE, series);
  const known = useGet<Page<Facet>>("/traces/facets", { prefix: METADATA, limit: 50 }, { staleTime: 60_000 });
  const metadata = [...new Set([...(by.startsWith(METADATA) ? [by] : []), ...(known.data?.items ?? []).map((f) => f.value)])];
  const table = by || FILTERS.find((f) => !filters[f]) || "model";
  const usage = useUsage(table, filters);
  const keys = useGet<Page<Key>>("/keys", undefined, { enabled: by === "key" || !!filters.key, staleTime: 60_000 });
  const names = useMemo(() => new Map((keys.data?.items ?? []).map((k) => [k.id, k.name])), [keys.data]);
  const items = points.data?.items ?? NOTHING;
  const groups = useMemo(() => (by ? groupsOf(items) : null), [items, by]);
  const named = useMemo(() => (g: string) => (g === OTHERS ? OTHERS : g === "" ? "(none)" : table === "key" ? (names.get(g) ?? g) : g), [names, table]);
  const colors = useMemo(() => new Map((groups ?? []).map((g, i) => [g, g === OTHERS ? "--ink-2" : color(i)])), [groups]);
  const rows = usage.data?.items ?? [];
  // Sums by kind also count spans that are no calls of models, so the heads come from the series.
  const all = (name: "calls" | "errors" | "input_tokens" | "output_tokens" | "cost_usd" | "unpriced") => items.reduce((n, p) => n + (p[name] ?? 0), 0);
  const nothing = points.data && usage.data && !items.some((p) => p.calls) && !rows.length;
  const error = points.error ?? usage.error;
  return (
    <div className="page">
      <PageHead title="Dashboards" note={<span className="muted">Calls of models; draw a range on any chart</span>} />
      <Controls search={search} patch={patch} filters={filters} keys={metadata} named={(field, value) => (field === "key" ? (names.get(value) ?? value) : value)} />
      {error && !(points.data && usage.data) ? (
        <Failure
          error={error}
          again={() => {
            void points.refetch();
            void usage.refetch();
          }}
        />
      ) : !points.data ? (
        <Loading rows={12} />
      ) : nothing ? (
        <Empty title={Object.keys(filters).length || search.since || search.range ? "No calls match" : "No calls in the last 24 hours"}>
          {Object.keys(filters).length || search.since ? (
            <A href="/dashboards" className="button">
              Show everything
            </A>
          ) : (
            <Snippets />
          )}
        </Empty>
      ) : (
        <>
          <Facts
            items={[
              ["Calls", full(all("calls"))],
              ["Errors", `${full(all("errors"))} (${percent(share(all("errors"), all("calls")))})`],
              ["Input tokens", count(all("input_tokens"))],
              ["Output tokens", count(all("output_tokens"))],
              ["Cost", usd(all("cost_usd"))],
              ["Unpriced calls", all("unpriced") ? <A href="/gateway/prices">{full(all("unpriced"))}</A> : null],
            ]}
          />
          {groups && (
            <ul className="legend-list" aria-label="Colours">
              {groups.map((g, i) => (
                <li key={g} className="legend">
                  <i style={{ background: `var(${g === OTHERS ? "--ink-2" : color(i)})` }} />
                  {named(g)}
                </li>
              ))}
            </ul>
          )}
          <div className="panels">
            {PANELS.map((panel) => (
              <PanelChart key={panel.key} panel={panel} items={items} groups={groups} search={search} patch={patch} named={named} />
            ))}
          </div>
          <Card
            title={`By ${DIMENSIONS.some(([key]) => key === table) ? labelOf(table).toLowerCase() : table}`}
            flush
            actions={
              rows.length > 0 && (
                <button type="button" className="button small" onClick={() => download(rows, table)}>
                  CSV
                </button>
              )
            }
          >
            {usage.data ? <Groups rows={rows} by={table} named={named} colors={colors} filters={filters} search={search} /> : <Loading rows={4} />}
          </Card>
        </>
      )}
    </div>
  );
}
