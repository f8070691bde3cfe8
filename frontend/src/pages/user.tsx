import { useParams } from "@tanstack/react-router";
import { path } from "../api/client.ts";
import type { Page, SessionRow, TraceRow, UserRow } from "../api/types.ts";
import { Badge, Card, Facts, PageHead, Table, When } from "../components/bits.tsx";
import { Erase } from "../components/erase.tsx";
import { More } from "../components/more.tsx";
import { CallsAndCost } from "../components/series.tsx";
import { Ready } from "../components/state.tsx";
import { TimeRange } from "../components/timerange.tsx";
import { count, full, ms, usd } from "../lib/format.ts";
import { A, stringifySearch } from "../lib/nav.tsx";
import { wordsIn } from "../lib/preview.ts";
import { useGet, usePages } from "../lib/query.ts";
import { clock } from "../lib/time.ts";
import { termOf } from "../lib/traceql.ts";
import { SessionTable } from "./sessions.tsx";

export default function UserPage() {
  const { user = "" } = useParams({ strict: false }) as { user?: string };
  const found = useGet<UserRow>(path`/users/${user}`, undefined, { every: 10_000 });
  const sessions = usePages<Page<SessionRow>>("/sessions", { user, limit: 20 }, { every: 10_000 });
  const query = termOf("user", user);
  const traces = useGet<Page<TraceRow>>("/traces", { query, limit: 10 }, { every: 10_000 });
  const all = `/traces${stringifySearch({ query, range: "all" })}`;
  const talks = sessions.data?.pages.flatMap((p) => p.items) ?? [];
  return (
    <div className="page">
      <PageHead title={user || "User"} crumbs={[["Users", "/users"]]}>
        <TimeRange />
        <A className="button" href={all}>
          All traces
        </A>
        <Erase what={{ user }} named={`user ${user}`} back="/users" />
      </PageHead>
      <Ready query={found} rows={3}>
        {(u) => (
          <>
            <Card>
              <Facts
                items={[
                  ["Traces", full(u.traces)],
                  ["Sessions", u.sessions == null ? null : full(u.sessions)],
                  ["Calls", full(u.calls)],
                  ["Errors", u.errors ? <span className="bad-ink">{full(u.errors)}</span> : "0"],
                  ["Tokens", `${count(u.input_tokens)} in · ${count(u.output_tokens)} out`],
                  ["Cost", usd(u.cost_usd)],
                  ["First", clock(u.first_at)],
                  ["Last", clock(u.last_at)],
                ]}
              />
              <CallsAndCost params={{ user }} />
            </Card>
            {talks.length > 0 && (
              <Card title="Sessions" flush>
                <SessionTable rows={talks} owner={false} />
                <More query={sessions} of="sessions" />
              </Card>
            )}
            <Card title="Latest traces" actions={<A href={all}>All</A>} flush>
              <Ready query={traces} rows={4}>
                {(page) => (
                  <Table
                    label="Latest traces"
                    rows={page.items}
                    keyOf={(t) => t.trace_id}
                    columns={[
                      { head: "Time", cell: (t) => <When at={t.started_at} /> },
                      { head: "Name", cell: (t) => <A href={`/traces/${t.trace_id}`}>{t.name}</A> },
                      { head: "Status", cell: (t) => <Badge value={t.status} /> },
                      { head: "Model", cell: (t) => t.model ?? "–" },
                      { head: "Input", cell: (t) => <span className="muted">{wordsIn(t.input_preview ?? "")}</span> },
                      { head: "Latency", cell: (t) => ms(t.duration_ms), num: true },
                      { head: "Cost", cell: (t) => usd(t.cost_usd), num: true },
                    ]}
                  />
                )}
              </Ready>
            </Card>
          </>
        )}
      </Ready>
    </div>
  );
}
