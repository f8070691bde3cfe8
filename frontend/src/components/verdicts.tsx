/** What guardrails decided: verdicts of one call, and the latest calls that have some. */
import { useContext } from "react";
import { useQuery, useQueryClient } from "@tanstack/react-query";
import { api, type ApiError, path } from "../api/client.ts";
import type { GuardVerdict, Page, SpanDetail, TraceDetail, TraceRow } from "../api/types.ts";
import { figure, full } from "../lib/format.ts";
import { policyHref, tagOf, VERDICT_TONES, VERDICTS, verdictsOf } from "../lib/guards.ts";
import { A, ProjectContext, useSearch } from "../lib/nav.tsx";
import { windowOf } from "../lib/time.ts";
import { Badge, Card, type Column, Table, When } from "./bits.tsx";
import { Empty, Ready } from "./state.tsx";

export function Verdict({ value }: { value: string }) {
  return <Badge value={value || "?"} tone={VERDICT_TONES[value]} />;
}

/** A version of a policy as verdicts cite it; rules that are only tried out have no address. */
export function Cited({ policy }: { policy: string }) {
  if (policy.endsWith("@0")) return <>the form</>;
  return policy.includes("@") ? <A href={policyHref(policy)}>{policy}</A> : <>{policy || "–"}</>;
}

const sideOf = (v: GuardVerdict) => (v.stage === "output" ? "answer" : v.stage === "input" ? "request" : v.stage);

const COLUMNS: Column<GuardVerdict>[] = [
  { head: "Verdict", cell: (v) => <Verdict value={v.outcome} /> },
  { head: "Guard", cell: (v) => v.guard },
  { head: "Rule", cell: (v) => v.rule, mono: true },
  { head: "Looked at", cell: sideOf },
  { head: "Finds", cell: (v) => full(v.count), num: true },
  { head: "Score", cell: (v) => figure(v.score), num: true },
  { head: "Policy", cell: (v) => <Cited policy={v.policy} /> },
];

/** The same in less room: two lines to a row. */
const NARROW: Column<GuardVerdict>[] = [
  COLUMNS[0]!,
  {
    head: "Guard",
    cell: (v) => (
      <>
        {v.guard}
        <div className="muted mono">{v.rule}</div>
      </>
    ),
  },
  {
    head: "Policy",
    cell: (v) => (
      <>
        <Cited policy={v.policy} />
        <div className="muted">{sideOf(v)}</div>
      </>
    ),
  },
  { head: "Finds", cell: (v) => full(v.count), num: true },
  { head: "Score", cell: (v) => figure(v.score), num: true },
];

export function Verdicts({ items, label = "Verdicts", narrow }: { items: GuardVerdict[]; label?: string; narrow?: boolean }) {
  return <Table label={label} rows={items} keyOf={(_v, n) => String(n)} columns={narrow ? NARROW : COLUMNS} />;
}

export interface GuardEvent extends GuardVerdict {
  trace: TraceRow;
  spanId: string;
}

/** A trace can hold an agent's whole run; verdicts are on the calls that came through the gateway. */
const MAX_SPANS = 5;
const MOST_EVENTS = 160;

export function useGuardEvents(verdict: string, policy: string, limit: number) {
  const [search] = useSearch();
  const project = useContext(ProjectContext);
  const client = useQueryClient();
  return useQuery<{ events: GuardEvent[]; more: boolean }, ApiError>({
    queryKey: [project, "guard-events", verdict, policy, limit, search.range ?? ""],
    queryFn: async ({ signal }) => {
      // Verdicts of any kind: one list for each, because conditions on tags must all be met.
      const lists = await Promise.all((verdict ? [verdict] : [...VERDICTS]).map((each) => api.get<Page<TraceRow>>("/traces", { ...windowOf(search), tag: tagOf(each, policy), limit }, signal)));
      const traces = [...new Map(lists.flatMap((l) => l.items).map((t) => [t.trace_id, t])).values()].sort((a, b) => b.start_ns - a.start_ns).slice(0, limit);
      const found = await Promise.all(
        traces.map((trace) =>
          // What a finished call's span says does not change: each is read once.
          client.fetchQuery({ queryKey: [project, "guard-verdicts", trace.trace_id, trace.spans], queryFn: () => verdictsIn(trace), staleTime: Infinity }),
        ),
      );
      const events = found.flat().filter((e) => (!verdict || e.outcome === verdict) && (!policy || e.policy.split("@")[0] === policy));
      return { events, more: lists.some((l) => l.next !== null) };
    },
    placeholderData: (old) => old,
    refetchInterval: 10_000,
  });
}

async function verdictsIn(trace: TraceRow): Promise<GuardEvent[]> {
  const tree = await api.get<TraceDetail>(path`/traces/${trace.trace_id}`);
  const calls = tree.spans.filter((s) => s.route != null || s.kind === "guard").slice(-MAX_SPANS);
  const spans = await Promise.all(calls.map((s) => api.get<SpanDetail>(path`/traces/${trace.trace_id}/spans/${s.span_id}`)));
  return spans.flatMap((span) => verdictsOf(span).map((v) => ({ ...v, trace, spanId: span.span_id })));
}

/** The latest verdicts of any policy or of one, each with its call. */
export function GuardEvents({ policy = "" }: { policy?: string }) {
  const [search, patch] = useSearch();
  const verdict = search.verdict ?? "";
  const limit = Math.min(MOST_EVENTS, Number(search.events) || 20);
  const events = useGuardEvents(verdict, policy, limit);
  return (
    <Card
      title="Events"
      flush
      actions={
        <select aria-label="Verdict" value={verdict} onChange={(e) => patch({ verdict: e.target.value }, { replace: true })}>
          <option value="">Any verdict</option>
          {VERDICTS.map((v) => (
            <option key={v}>{v}</option>
          ))}
        </select>
      }
    >
      <Ready query={events} rows={4}>
        {({ events: rows, more }) =>
          rows.length ? (
            <>
              <Table
                label="Guardrail events"
                rows={rows}
                keyOf={(e, n) => `${e.trace.trace_id} ${n}`}
                columns={[
                  { head: "Time", cell: (e) => <When at={e.trace.start_ns / 1e6} /> },
                  ...COLUMNS,
                  { head: "Route", cell: (e) => e.trace.route ?? "–" },
                  { head: "User", cell: (e) => e.trace.user ?? "–" },
                  { head: "Call", cell: (e) => <A href={`/traces/${e.trace.trace_id}?span=${e.spanId}`} title={`Trace ${e.trace.trace_id}`} className="mono">{e.trace.trace_id.slice(-8)}</A> },
                ]}
              />
              {more && (
                <div className="pad">
                  {limit < MOST_EVENTS ? (
                    <button type="button" className="button small" onClick={() => patch({ events: String(Math.min(MOST_EVENTS, limit * 2)) }, { replace: true })}>
                      Show older ones
                    </button>
                  ) : (
                    <A href={`/traces?tag=${encodeURIComponent(tagOf(verdict || "deny", policy))}`}>{`All traces with ${verdict || "deny"}`}</A>
                  )}
                </div>
              )}
            </>
          ) : (
            <Empty title="No guard found anything">
              <p className="muted">Calls that a guard refuses, changes or flags are listed here, each with its trace.</p>
            </Empty>
          )
        }
      </Ready>
    </Card>
  );
}

const DAY = 86_400_000;
const MOST = 500;

/** How many calls of the last 24 hours have a policy's verdict; a list longer than one page is "500+". */
export function DayCounts({ policy }: { policy: string }) {
  const project = useContext(ProjectContext);
  const counts = useQuery<[string, number, boolean][], ApiError>({
    queryKey: [project, "guard-counts", policy],
    queryFn: ({ signal }) => {
      const since = new Date(Date.now() - DAY).toISOString();
      return Promise.all(
        VERDICTS.map(async (verdict): Promise<[string, number, boolean]> => {
          const page = await api.get<Page<TraceRow>>("/traces", { since, tag: tagOf(verdict, policy), limit: MOST }, signal);
          return [verdict, page.items.length, page.next !== null];
        }),
      );
    },
    staleTime: 20_000,
    refetchInterval: 30_000,
  });
  if (counts.error) return <span className="muted">not known</span>;
  if (!counts.data) return <span className="muted">…</span>;
  const some = counts.data.filter(([, n]) => n);
  if (!some.length) return <span className="muted">none</span>;
  return (
    <span className="labels">
      {some.map(([verdict, n, more]) => (
        <Badge key={verdict} value={`${full(n)}${more ? "+" : ""} ${verdict}`} tone={VERDICT_TONES[verdict]} />
      ))}
    </span>
  );
}
