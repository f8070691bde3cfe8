import type { Page, UserRow } from "../api/types.ts";
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

const HOW = `# Say who a call is for: any of these
client.chat.completions.create(..., user="ada")
client.chat.completions.create(..., extra_headers={"x-penstock-user": "ada"})
span.set_attribute("user.id", "ada")   # OpenTelemetry`;

export default function Users() {
  const [search] = useSearch();
  const users = usePages<Page<UserRow>>("/users", { query: search.query, prefix: search.prefix, order: search.order, limit: 100 }, { now: () => windowOf(search), every: 10_000 });
  const rows = users.data?.pages.flatMap((p) => p.items) ?? [];
  const filtered = !!(search.query || search.prefix || search.range || search.since || search.until);
  return (
    <div className="page">
      <PageHead title="Users" note={<span className="muted">Who the calls were for</span>}>
        <PrefixBox of="user" />
        <OrderSelect />
        <TimeRange />
      </PageHead>
      <Ready query={users as never}>
        {() =>
          rows.length ? (
            <Card flush>
              <Table
                label="Users"
                rows={rows}
                keyOf={(u) => u.user}
                columns={[
                  { head: "User", cell: (u) => <A href={`/users/${encodeURIComponent(u.user)}`}>{u.user}</A> },
                  { head: "Sessions", cell: (u) => full(u.sessions), num: true },
                  { head: "Traces", cell: (u) => full(u.traces), num: true },
                  { head: "Calls", cell: (u) => full(u.calls), num: true },
                  { head: "Errors", cell: (u) => (u.errors ? <span className="bad-ink">{full(u.errors)}</span> : "0"), num: true },
                  { head: "Input", cell: (u) => count(u.input_tokens), num: true },
                  { head: "Output", cell: (u) => count(u.output_tokens), num: true },
                  { head: "Cost", cell: (u) => usd(u.cost_usd), num: true },
                  { head: "First", cell: (u) => <When at={u.first_at} /> },
                  { head: "Last", cell: (u) => <When at={u.last_at} /> },
                ]}
              />
              <More query={users} of="users" />
            </Card>
          ) : filtered ? (
            <Empty title="No user matches">
              <A href="/users" className="button">
                Clear filters
              </A>
            </Empty>
          ) : (
            <Empty title="No users in the last 7 days">
              <p className="muted">Calls that say who they are for are summed here for each user.</p>
              <Snippets extra={HOW} />
            </Empty>
          )
        }
      </Ready>
    </div>
  );
}
