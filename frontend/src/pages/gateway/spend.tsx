import { useContext, useMemo } from "react";
import { useQuery } from "@tanstack/react-query";
import { api, type ApiError } from "../../api/client.ts";
import type { Key, Page, Project, TimePoint, Usage } from "../../api/types.ts";
import { Card, Facts, Table, Tabs } from "../../components/bits.tsx";
import { Chart } from "../../components/chart.tsx";
import { GatewayPage, RangeSelect } from "../../components/gateway.tsx";
import { Empty, Ready } from "../../components/state.tsx";
import { csv, save } from "../../lib/csv.ts";
import { count, full, ms, percent, short, usd } from "../../lib/format.ts";
import { A, ProjectContext, stringifySearch, useSearch } from "../../lib/nav.tsx";
import { useGet } from "../../lib/query.ts";
import { GROUPS, ordered, table, total } from "../../lib/spend.ts";
import { DEFAULT_RANGE, windowOf } from "../../lib/time.ts";

/** Groups that the roll-ups behind the chart can be narrowed by. */
const CHARTED = ["model", "provider", "route", "key"];
const NOTHING: never[] = [];

/** The range stays relative in the keys of queries; the window is taken when the question is asked. */
function useSeries(params: Record<string, string>, range: string) {
  const project = useContext(ProjectContext);
  return useQuery<Page<TimePoint>, ApiError>({
    queryKey: [project, "/timeseries", params, range],
    queryFn: ({ signal }) => {
      const window = windowOf({ range });
      const since = window.since ?? new Date(Date.now() - 90 * 86_400_000).toISOString();
      return api.get<Page<TimePoint>>("/timeseries", { ...params, ...window, since }, signal);
    },
    placeholderData: (old) => old,
    refetchInterval: 15_000,
  });
}

/** The API counts one project at a time; each project's sum is a row of its own. */
async function byProject(range: string): Promise<Page<Usage>> {
  const projects = await api.get<Page<Project>>("/projects");
  const items = await Promise.all(
    projects.items.map(async ({ name }) => ({ ...total((await api.get<Page<Usage>>("/usage", { group_by: "kind", project: name, ...windowOf({ range }) })).items), group: name })),
  );
  return { items: items.filter((u) => u.calls > 0), next: null };
}

function useUsage(by: string, range: string) {
  const project = useContext(ProjectContext);
  return useQuery<Page<Usage>, ApiError>({
    queryKey: [project, "/usage", by, range],
    queryFn: ({ signal }) => (by === "project" ? byProject(range) : api.get<Page<Usage>>("/usage", { group_by: by, ...windowOf({ range }) }, signal)),
    // Rows of one grouping never stand below the head of another.
    placeholderData: (old, query) => (query?.queryKey[2] === by ? old : undefined),
    refetchInterval: 15_000,
  });
}

function Curve({ by, only, range }: { by: string; only: string; range: string }) {
  const params: Record<string, string> = only && CHARTED.includes(by) ? { [by]: only } : {};
  const points = useSeries(params, range);
  const items = points.data?.items ?? NOTHING;
  const x = useMemo(() => items.map((p: TimePoint) => Date.parse(p.time) / 1000), [items]);
  const cost = useMemo(() => [{ label: "cost", values: items.map((p: TimePoint) => p.cost_usd ?? 0), color: "--accent", bars: true, format: (n: number | null) => usd(n) }], [items]);
  const tokens = useMemo(
    () => [
      { label: "input", values: items.map((p: TimePoint) => p.input_tokens ?? 0), color: "--busy", fill: true, format: count },
      { label: "output", values: items.map((p: TimePoint) => p.output_tokens ?? 0), color: "--violet", fill: true, format: count },
    ],
    [items],
  );
  if (points.error) return <p className="muted pad">The chart cannot be drawn now: {points.error.message}</p>;
  return (
    <div className="charts">
      <Chart label={only && params[by] ? `Cost of ${only}` : "Cost"} sync="spend" x={x} height={120} series={cost} />
      <Chart label="Tokens" sync="spend" x={x} height={120} series={tokens} />
    </div>
  );
}

function Groups({ rows, by, named, only, range }: { rows: Usage[]; by: string; named: (group: string) => string; only: string; range: string }) {
  const sum = total(rows);
  const shown = (u: Usage) => named(u.group) || "(none)";
  const traces = (u: Usage) => `/traces${stringifySearch(by === "day" ? { since: `${u.group}T00:00:00Z`, until: `${u.group}T23:59:59.999Z` } : { [by]: u.group, range: range === DEFAULT_RANGE ? undefined : range })}`;
  const chart = (u: Usage) => `/gateway/spend${stringifySearch({ by, range: range === DEFAULT_RANGE ? undefined : range, only: only === u.group ? undefined : u.group })}`;
  return (
    <Card flush>
      <Table
        label={`Spend by ${by}`}
        rows={rows}
        keyOf={(u) => u.group}
        columns={[
          { head: GROUPS.find(([key]) => key === by)?.[1] ?? by, cell: (u) => (u.group ? <A href={traces(u)} title={`Traces of ${shown(u)}`}>{shown(u)}</A> : <span className="muted">(none)</span>) },
          { head: "Cost", cell: (u) => usd(u.cost_usd), num: true },
          {
            head: "Share",
            cell: (u) => (
              <span className="share">
                <span className="bar-rail" aria-hidden="true">
                  <span style={{ width: percent(sum.cost_usd ? (u.cost_usd ?? 0) / sum.cost_usd : 0) .replace(" ", "") }} />
                </span>
                {sum.cost_usd ? percent((u.cost_usd ?? 0) / sum.cost_usd) : "–"}
              </span>
            ),
            num: true,
          },
          { head: "Calls", cell: (u) => full(u.calls), num: true },
          { head: "Errors", cell: (u) => full(u.errors), num: true },
          { head: "Input", cell: (u) => <span title={full(u.input_tokens)}>{count(u.input_tokens)}</span>, num: true },
          { head: "Cached", cell: (u) => count(u.cached_tokens), num: true },
          { head: "Output", cell: (u) => <span title={full(u.output_tokens)}>{count(u.output_tokens)}</span>, num: true },
          { head: "Latency", cell: (u) => ms(u.mean_latency_ms), num: true },
          { head: "Unpriced", cell: (u) => (u.unpriced ? <A href="/gateway/prices" title="Calls of models that nobody has a price for">{full(u.unpriced)}</A> : "0"), num: true },
          ...(CHARTED.includes(by)
            ? [
                {
                  head: "Chart",
                  cell: (u: Usage) =>
                    u.group ? (
                      <A href={chart(u)} aria-label={only === u.group ? "Chart all again" : `Chart ${shown(u)} alone`}>
                        {only === u.group ? "Chart all" : "Chart"}
                      </A>
                    ) : null,
                },
              ]
            : []),
        ]}
      />
    </Card>
  );
}

export default function Spend() {
  const [search] = useSearch();
  const by = GROUPS.some(([key]) => key === search.by) ? search.by! : "model";
  const range = search.range ?? DEFAULT_RANGE;
  const only = search.only ?? "";
  const usage = useUsage(by, range);
  const keys = useGet<Page<Key>>("/keys", undefined, { enabled: by === "key", staleTime: 30_000 });
  const names = new Map((keys.data?.items ?? []).map((k) => [k.id, k.name]));
  const named = (group: string) => (by === "key" ? (names.get(group) ?? short(group)) : group);
  const rows = ordered(usage.data?.items ?? [], by);
  const sum = total(rows);
  return (
    <GatewayPage
      tab="spend"
      note="Calls, tokens and money, exactly as traced"
      actions={
        <>
          <RangeSelect />
          <button type="button" className="button" disabled={!rows.length} onClick={() => save(`spend-by-${by}-${range}.csv`, csv(table(rows, by, named)))}>
            Export CSV
          </button>
        </>
      }
    >
      <Ready query={usage}>
        {() => (
          <>
            <Card>
              <Facts
                items={[
                  ["Cost", usd(sum.cost_usd)],
                  ["Calls", full(sum.calls)],
                  ["Errors", full(sum.errors)],
                  ["Tokens read", full(sum.input_tokens)],
                  ["of them cached", full(sum.cached_tokens)],
                  ["Tokens written", full(sum.output_tokens)],
                  ["Calls without a price", full(sum.unpriced)],
                ]}
              />
            </Card>
            <Curve by={by} only={only} range={range} />
            <Tabs label="Group by" current={by} items={GROUPS} hrefOf={(k) => `/gateway/spend${stringifySearch({ by: k, range: search.range })}`} />
            {rows.length ? (
              <Groups rows={rows} by={by} named={named} only={only} range={range} />
            ) : (
              <Empty title="Nothing was spent in this time">
                <p className="muted">Choose a longer time range, or make a call: every call through the gateway is counted here.</p>
              </Empty>
            )}
          </>
        )}
      </Ready>
    </GatewayPage>
  );
}
