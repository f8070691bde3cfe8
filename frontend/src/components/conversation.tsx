/** A trace as the conversation it was: what each model call added, with the tools between; every line leads to its span. */
import { useContext, useMemo, useState } from "react";
import { useQueries } from "@tanstack/react-query";
import { api, path } from "../api/client.ts";
import type { Span, SpanDetail } from "../api/types.ts";
import { count, ms, usd } from "../lib/format.ts";
import { fresh, messagesOf, type Shown } from "../lib/messages.ts";
import { ProjectContext } from "../lib/nav.tsx";
import { Badge } from "./bits.tsx";
import { MessageItem, Messages } from "./messages.tsx";
import { Failure, Loading } from "./state.tsx";

const STEP = 20;
const BETWEEN = new Set(["tool", "retriever", "guard", "agent"]);

function Line({ span, pick }: { span: Span; pick: (id: string) => void }) {
  const call = span.kind === "llm";
  return (
    <button type="button" className="turn-line" onClick={() => pick(span.span_id)} title="Show this span">
      <i className={`dot ${span.status === "error" ? "bad" : span.kind}`} />
      <b className="ellipsis">{span.name}</b>
      <span className="muted ellipsis">
        {[span.model, ms((span.end_ns - span.start_ns) / 1e6), call && `${count(span.input_tokens)} in · ${count(span.output_tokens)} out`, call && span.cost_usd != null && usd(span.cost_usd)].filter(Boolean).join(" · ")}
      </span>
      {span.status === "error" && <Badge value="error" />}
    </button>
  );
}

/** One call's part: only what was not said before it. */
function Call({ detail, before, asked, said }: { detail: SpanDetail; before: Shown[]; asked: Shown[] | null; said: Shown[] | null }) {
  const own = asked ? fresh(before, asked) : [];
  return (
    <>
      {own.length > 0 && (
        <ol className="messages">
          {own.map((m, i) => (
            <MessageItem key={i} message={m} />
          ))}
        </ol>
      )}
      {!asked && detail.input != null && <Messages body={detail.input} label="Input" />}
      {detail.error && (
        <div className="note bad" role="note">
          {detail.error}
        </div>
      )}
      {said ? (
        <ol className="messages">
          {said.map((m, i) => (
            <MessageItem key={i} message={m} />
          ))}
        </ol>
      ) : (
        detail.output != null && <Messages body={detail.output} label="Output" />
      )}
      {detail.input == null && detail.output == null && !detail.error && <p className="muted">Its messages were not recorded.</p>}
    </>
  );
}

export function Conversation({ traceId, spans, pick }: { traceId: string; spans: Span[]; pick: (id: string) => void }) {
  const project = useContext(ProjectContext);
  const [most, setMost] = useState(STEP);
  const line = useMemo(() => spans.filter((s) => (s.kind === "llm" && !s.duplicate_of) || BETWEEN.has(s.kind)).sort((a, b) => a.start_ns - b.start_ns), [spans]);
  const calls = useMemo(() => line.filter((s) => s.kind === "llm"), [line]);
  const shown = calls.slice(0, most);
  const details = useQueries({
    queries: shown.map((s) => ({ queryKey: [project, path`/traces/${traceId}/spans/${s.span_id}`, {}], queryFn: ({ signal }: { signal: AbortSignal }) => api.get<SpanDetail>(path`/traces/${traceId}/spans/${s.span_id}`, undefined, signal), staleTime: 60_000 })),
  });
  const error = details.find((d) => d.error)?.error;
  if (error) return <Failure error={error as never} />;
  if (!calls.length) return <p className="muted pad">There is no model call in this trace. The tree shows what there is.</p>;
  // Each call is shown against all that was said until then.
  let before: Shown[] = [];
  const end = shown.length < calls.length ? shown[shown.length - 1]!.start_ns : Infinity;
  return (
    <div className="conversation" aria-label="Conversation" role="region" tabIndex={0}>
      <ol>
        {line
          .filter((s) => s.start_ns <= end)
          .map((span) => {
            const at = shown.indexOf(span);
            const detail = at >= 0 ? details[at]?.data : undefined;
            const asked = detail ? messagesOf(detail.input) : null;
            const said = detail ? messagesOf(detail.output) : null;
            const had = before;
            if (asked) before = [...asked, ...(said ?? [])];
            return (
              <li key={span.span_id}>
                <Line span={span} pick={pick} />
                {at >= 0 && (detail ? <Call detail={detail} before={had} asked={asked} said={said} /> : <Loading rows={2} />)}
              </li>
            );
          })}
      </ol>
      {shown.length < calls.length && (
        <button type="button" className="button" onClick={() => setMost(most + STEP)}>
          {`Show more (${calls.length - shown.length} calls left)`}
        </button>
      )}
    </div>
  );
}
