import type { Page, SessionRow } from "../api/types.ts";
import { Card, PageHead, Table, When } from "../components/bits.tsx";
import { More } from "../components/more.tsx";
import { OrderSelect, PrefixBox } from "../components/people.tsx";
import { Snippets } from "../components/snippets.tsx";
import { Empty, Ready } from "../components/state.tsx";
import { TimeRange } from "../components/timerange.tsx";
import { count, full, usd } from "../lib/format.ts";
import { A, useSearch } from "../lib/nav.tsx";
import { usePages } from "../lib/query.ts";
import { windowOf } from "../lib/time.ts";
import { queryOf } from "../lib/traceql.ts";

export function SessionTable({ rows, owner = true }: { rows: SessionRow[]; owner?: boolean }) {
  return (
    <Table
      label="Sessions"
      rows={rows}
      keyOf={(s) => s.session}
      columns={[
        { head: "Session", cell: (s) => <A href={`/sessions/${encodeURIComponent(s.session)}`} className="cut ellipsis" title={s.session}>{s.session}</A> },
        { head: "Begins", cell: (s) => <span className="muted" title={s.preview ?? ""}>{s.preview || "–"}</span> },
        ...(owner ? [{ head: "User", cell: (s: SessionRow) => (s.user ? <A href={`/users/${encodeURIComponent(s.user)}`}>{s.user}</A> : "–") }] : []),
        { head: "Turns", cell: (s) => full(s.traces), num: true },
        { head: "Calls", cell: (s) => full(s.calls), num: true },
        { head: "Errors", cell: (s) => (s.errors ? <span className="bad-ink">{full(s.errors)}</span> : "0"), num: true },
        { head: "Tokens", cell: (s) => count(s.input_tokens + s.output_tokens), num: true },
        { head: "Cost", cell: (s) => usd(s.cost_usd), num: true },
        { head: "Last", cell: (s) => <When at={s.last_at} /> },
      ]}
    />
  );
}

const HOW = `# Say which conversation a call belongs to: any of these
client.chat.completions.create(..., extra_headers={"x-penstock-session": "chat-42", "x-penstock-user": "ada"})
span.set_attribute("session.id", "chat-42")   # OpenTelemetry`;

export default function Sessions() {
  const [search] = useSearch();
  const query = queryOf({ query: search.query ?? "", user: search.user ?? "" });
  const sessions = usePages<Page<SessionRow>>("/sessions", { query, prefix: search.prefix, order: search.order, limit: 100 }, { now: () => windowOf(search), every: 10_000 });
  const rows = sessions.data?.pages.flatMap((p) => p.items) ?? [];
  const filtered = !!(query || search.prefix || search.range || search.since || search.until);
  return (
    <div className="page">
      <PageHead title="Sessions" note={<span className="muted">Traces that belong to one conversation</span>}>
        <PrefixBox of="session" />
        <OrderSelect />
        <TimeRange />
      </PageHead>
      <Ready query={sessions as never}>
        {() =>
          rows.length ? (
            <Card flush>
              <SessionTable rows={rows} />
              <More query={sessions} of="sessions" />
            </Card>
          ) : filtered ? (
            <Empty title="No session matches">
              <A href="/sessions" className="button">
                Clear filters
              </A>
            </Empty>
          ) : (
            <Empty title="No sessions in the last 7 days">
              <p className="muted">Calls that carry a session id are shown here as the conversation they were.</p>
              <Snippets extra={HOW} />
            </Empty>
          )
        }
      </Ready>
    </div>
  );
}
