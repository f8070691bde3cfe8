import { useParams } from "@tanstack/react-router";
import type { SessionPage, Turn } from "../api/types.ts";
import { Badge, Facts, PageHead, When } from "../components/bits.tsx";
import { Erase } from "../components/erase.tsx";
import { Messages } from "../components/messages.tsx";
import { More } from "../components/more.tsx";
import { Ready } from "../components/state.tsx";
import { path } from "../api/client.ts";
import { count, full, ms, usd } from "../lib/format.ts";
import { A, stringifySearch } from "../lib/nav.tsx";
import { usePages } from "../lib/query.ts";
import { clock } from "../lib/time.ts";
import { termOf } from "../lib/traceql.ts";

function Bubble({ turn }: { turn: Turn }) {
  return (
    <li className="chat-turn">
      {turn.input != null && turn.input !== "" && (
        <div className="bubble asked">
          <div className="message-role">{turn.user ?? "user"}</div>
          <Messages body={turn.input} label="Asked" />
        </div>
      )}
      {turn.output != null && turn.output !== "" ? (
        <div className="bubble said">
          <div className="message-role">{turn.model ?? "assistant"}</div>
          <Messages body={turn.output} label="Answered" />
        </div>
      ) : (
        turn.status === "error" && <div className="bubble said failed">No answer</div>
      )}
      <div className="chat-foot">
        <span title={clock(turn.at, true)}>
          <When at={turn.at} />
        </span>
        <span>{ms(turn.duration_ns / 1e6)}</span>
        <span>{usd(turn.cost_usd)}</span>
        {turn.status === "error" && <Badge value="error" />}
        <A href={`/traces/${turn.trace_id}`}>Trace</A>
      </div>
    </li>
  );
}

export default function SessionView() {
  const { session = "" } = useParams({ strict: false }) as { session?: string };
  const pages = usePages<SessionPage>(path`/sessions/${session}`, { limit: 50 }, { every: 10_000 });
  const turns = pages.data?.pages.flatMap((p) => p.turns) ?? [];
  const totals = pages.data?.pages[0]?.totals;
  const users = [...new Set(turns.map((t) => t.user).filter((u): u is string => !!u))];
  return (
    <div className="page">
      <PageHead title={session || "Session"} crumbs={[["Sessions", "/sessions"]]}>
        <A className="button" href={`/traces${stringifySearch({ query: termOf("session", session), range: "all" })}`}>
          Its traces
        </A>
        <Erase what={{ session }} named={`session ${session}`} back="/sessions" />
      </PageHead>
      <Ready query={pages as never}>
        {() => (
          <>
            <Facts
              items={[
                ["Turns", full(totals?.traces ?? turns.length)],
                ["User", users.length ? (
                  <span className="user-list">
                    {users.map((u) => (
                      <A key={u} href={`/users/${encodeURIComponent(u)}`}>
                        {u}
                      </A>
                    ))}
                  </span>
                ) : null],
                ["Began", turns[0] && clock(turns[0].at)],
                ["Last", totals ? clock(totals.last_at) : null],
                ["Calls", totals && full(totals.calls)],
                ["Tokens", totals && `${count(totals.input_tokens)} in · ${count(totals.output_tokens)} out`],
                ["Cost", usd(totals?.cost_usd ?? turns.reduce((n, t) => n + (t.cost_usd ?? 0), 0))],
              ]}
            />
            <ol className="chat" aria-label="Conversation">
              {turns.map((t) => (
                <Bubble key={t.trace_id} turn={t} />
              ))}
            </ol>
            <More query={pages} of="turns" />
          </>
        )}
      </Ready>
    </div>
  );
}
