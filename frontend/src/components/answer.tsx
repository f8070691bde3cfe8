/** A call's answer as it comes in: its text, what the gateway did with the call, and what it took. */
import { type ReactNode, useEffect, useRef, useState } from "react";
import { ApiError, path } from "../api/client.ts";
import type { TraceDetail } from "../api/types.ts";
import { type Answer, type Call, CallError, type CallOptions, run, type Said } from "../lib/chat.ts";
import { count, ms, usd } from "../lib/format.ts";
import { A } from "../lib/nav.tsx";
import { useGet } from "../lib/query.ts";
import { Badge, Card, Code, Facts } from "./bits.tsx";
import { Failure } from "./state.tsx";

export function useCall() {
  const [answer, setAnswer] = useState<Answer | null>(null);
  const [error, setError] = useState<ApiError | null>(null);
  const [running, setRunning] = useState(false);
  const [stopped, setStopped] = useState(false);
  const control = useRef<AbortController>(null);
  useEffect(() => () => control.current?.abort(), []);
  const send = async (call: Call, options: CallOptions) => {
    control.current?.abort();
    const own = new AbortController();
    control.current = own;
    setRunning(true);
    setStopped(false);
    setError(null);
    setAnswer(null);
    try {
      for await (const state of run(call, options, own.signal)) if (control.current === own) setAnswer(state);
    } catch (failure) {
      if (control.current !== own) return;
      if (own.signal.aborted) setStopped(true);
      else setError(failure instanceof ApiError ? failure : new ApiError(502, (failure as Error).message));
    } finally {
      if (control.current === own) setRunning(false);
    }
  };
  return { answer, error, running, stopped, send, stop: () => control.current?.abort() };
}

/** The trace is written after the answer, so its cost is asked for until it is there. */
function Cost({ traceId, known }: { traceId: string; known: number | null }) {
  const trace = useGet<TraceDetail>(path`/traces/${traceId}`, undefined, { enabled: known === null, every: (t) => (t ? false : 600) });
  const cost = known ?? trace.data?.cost_usd;
  return (
    <>
      <span>
        Cost <b>{cost == null ? "…" : usd(cost)}</b>
      </span>
      <A href={`/traces/${traceId}`}>Trace</A>
    </>
  );
}

const CACHE: Record<string, string> = { hit: "good", miss: "plain", bypass: "wait" };

function Handling({ said }: { said: Said }) {
  const cache = said.cache && (
    <span className="row">
      <Badge value={said.cache} tone={CACHE[said.cache]} />
      {said.age !== null && <span>{`made ${ms(said.age * 1000)} ago`}</span>}
      {said.similarity !== null && <span>{`${said.similarity} alike`}</span>}
    </span>
  );
  const items: [string, ReactNode][] = [
    ["Route", said.route && <A href={`/gateway/route?name=${encodeURIComponent(said.route)}`}>{said.route}</A>],
    ["Arm", said.arm],
    ["Target", said.target],
    ["Attempts", said.attempts],
    ["Cache", cache],
    ["Request", said.requestId && <span className="mono">{said.requestId}</span>],
  ];
  return items.some(([, value]) => value) ? (
    <div className="handling" role="group" aria-label="What the gateway did">
      <Facts items={items} />
    </div>
  ) : null;
}

/** A guardrail's refusal is no breakdown: it says what was decided, and where the verdict is. */
function Refusal({ error }: { error: ApiError }) {
  return (
    <div className="note bad" role="alert">
      <b>Refused by a guardrail</b>
      <div>{error.message}</div>
      {error.hint && <div>{error.hint}</div>}
      <div>
        <A href="/gateway/guardrails">Guardrails and their events</A>
      </div>
    </div>
  );
}

export function Result({ title, call, onContinue }: { title: string; call: ReturnType<typeof useCall>; onContinue?: () => void }) {
  const { answer, error, running, stopped } = call;
  const said = answer?.said ?? (error instanceof CallError ? error.said : null);
  const refused = error?.code === "content_filter" || answer?.finish === "content_filter";
  return (
    <Card
      title={title}
      actions={
        onContinue && answer && !running && !error && (answer.text || answer.tools.length > 0) ? (
          <button type="button" className="button small" onClick={onContinue}>
            Go on from here
          </button>
        ) : undefined
      }
    >
      <div className="answer" aria-live="polite" aria-busy={running}>
        {answer ? (
          <>
            {answer.reasoning && <div className="message-text muted">{answer.reasoning}</div>}
            <div className="message-text">
              {answer.text}
              {running && <span className="caret" aria-hidden="true" />}
            </div>
            {answer.tools.map((t, n) => (
              <div key={n} className="tool-call">
                <h3>{`calls ${t.name}`}</h3>
                <Code text={t.arguments || "{}"} label={`Arguments of ${t.name}`} />
              </div>
            ))}
            {stopped && <p className="muted">Stopped.</p>}
            {answer.finish === "content_filter" && !error && <Refusal error={new ApiError(200, "The answer was cut or refused by a content filter.")} />}
            {answer.finish === "length" && <p className="muted">Cut at the token limit.</p>}
          </>
        ) : (
          !error && <p className="muted">{running ? "Waiting for the first token…" : stopped ? "Stopped." : "The answer streams in here."}</p>
        )}
        {error && (refused ? <Refusal error={error} /> : <Failure error={error} />)}
      </div>
      {said && <Handling said={said} />}
      <div className="meter">
        <span>
          First token <b>{ms(answer?.firstMs)}</b>
        </span>
        <span>
          Total <b>{ms(answer?.totalMs)}</b>
        </span>
        <span>
          Tokens <b>{`${count(answer?.inputTokens)} in · ${count(answer?.outputTokens)} out`}</b>
        </span>
        {answer?.cachedTokens ? (
          <span>
            Prompt cache <b>{count(answer.cachedTokens)}</b>
          </span>
        ) : null}
        {said?.traceId && !running ? <Cost traceId={said.traceId} known={said.costUsd} /> : <span>Cost –</span>}
      </div>
    </Card>
  );
}
