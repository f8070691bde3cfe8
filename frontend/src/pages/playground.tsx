import { useEffect, useRef, useState } from "react";
import { api, ApiError, path } from "../api/client.ts";
import type { Message, Page, Prompt, Rendered, SpanDetail, TraceDetail } from "../api/types.ts";
import { Card, Field, PageHead } from "../components/bits.tsx";
import { plainText } from "../components/messages.tsx";
import { Failure } from "../components/state.tsx";
import { stream, type Answer } from "../lib/chat.ts";
import { count, ms, usd } from "../lib/format.ts";
import { useKeys } from "../lib/keys.ts";
import { A, useSearch } from "../lib/nav.tsx";
import { useAct, useGet } from "../lib/query.ts";
import { useQuery } from "@tanstack/react-query";

interface Turn {
  role: string;
  content: string;
}

/** The gateway's own list, so that only names that can be called are offered. */
function useModels() {
  return useQuery({
    queryKey: ["v1-models"],
    queryFn: async () => {
      const response = await fetch("/v1/models", { credentials: "same-origin" });
      if (!response.ok) throw new ApiError(response.status, "The list of models could not be read.");
      return ((await response.json()) as { data: { id: string }[] }).data.map((m) => m.id);
    },
    staleTime: 10_000,
  });
}

/** The trace is written after the answer, so its cost is asked for until it is there. */
function Cost({ traceId }: { traceId: string }) {
  const trace = useGet<TraceDetail>(path`/traces/${traceId}`, undefined, { every: (t) => (t ? false : 600) });
  return (
    <>
      <span>
        Cost <b>{trace.data ? usd(trace.data.cost_usd) : "…"}</b>
      </span>
      <A href={`/traces/${traceId}`}>Trace</A>
    </>
  );
}

function useCall() {
  const [answer, setAnswer] = useState<Answer | null>(null);
  const [error, setError] = useState<Error | null>(null);
  const [running, setRunning] = useState(false);
  const [stopped, setStopped] = useState(false);
  const control = useRef<AbortController>(null);
  useEffect(() => () => control.current?.abort(), []);
  const send = async (call: Parameters<typeof stream>[0]) => {
    control.current?.abort();
    const own = new AbortController();
    control.current = own;
    setRunning(true);
    setStopped(false);
    setError(null);
    setAnswer(null);
    try {
      for await (const state of stream(call, own.signal)) setAnswer(state);
    } catch (failure) {
      if (own.signal.aborted) setStopped(true);
      else setError(failure as Error);
    } finally {
      if (control.current === own) setRunning(false);
    }
  };
  return { answer, error, running, stopped, send, stop: () => control.current?.abort() };
}

function Result({ call }: { call: ReturnType<typeof useCall> }) {
  const { answer, error, running, stopped } = call;
  return (
    <Card title="Answer">
      <div className="answer" aria-live="polite" aria-busy={running}>
        {error ? (
          <Failure error={error instanceof ApiError ? error : new ApiError(502, error.message)} />
        ) : answer ? (
          <>
            {answer.reasoning && <div className="message-text muted">{answer.reasoning}</div>}
            <div className="message-text">
              {answer.text}
              {running && <span className="caret" aria-hidden="true" />}
            </div>
            {stopped && <p className="muted">Stopped.</p>}
          </>
        ) : (
          <p className="muted">{running ? "Waiting for the first token…" : "The answer streams in here."}</p>
        )}
      </div>
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
        {answer?.traceId && !running ? <Cost traceId={answer.traceId} /> : <span>Cost –</span>}
      </div>
    </Card>
  );
}

export default function Playground() {
  const [search, patch] = useSearch();
  const models = useModels();
  const prompts = useGet<Page<Prompt>>("/prompts");
  const [turns, setTurns] = useState<Turn[]>([{ role: "user", content: "" }]);
  const model = search.model ?? models.data?.[0] ?? "";
  const call = useCall();
  const number = (key: string) => (search[key] ? Number(search[key]) : undefined);
  const send = () => {
    if (!model || !turns.some((t) => t.content.trim())) return;
    void call.send({ model, messages: turns, temperature: number("temperature"), max_tokens: number("max_tokens"), top_p: number("top_p") });
  };
  useKeys({
    "mod+Enter": (e) => {
      e.preventDefault();
      send();
    },
    Escape: () => call.stop(),
  });
  const prompt = useGet<Prompt>(path`/prompts/${search.prompt ?? ""}`, undefined, { enabled: !!search.prompt });
  const [variables, setVariables] = useState("{}");
  const fill = useAct(
    () => api.post<Rendered>(path`/prompts/${search.prompt!}/render`, { version: search.version ? Number(search.version) : (prompt.data?.versions ?? 1), variables: JSON.parse(variables) as unknown }),
    (r) => setTurns(r.kind === "chat" ? r.messages.map((m: Message) => ({ role: m.role, content: plainText(m) })) : [{ role: "user", content: r.text }]),
  );
  const [traceId, spanId] = (search.from ?? "").split(":");
  const replay = useGet<SpanDetail>(path`/traces/${traceId ?? ""}/spans/${spanId ?? ""}`, undefined, { enabled: !!spanId });
  const loaded = useRef("");
  useEffect(() => {
    if (!replay.data || loaded.current === search.from) return;
    loaded.current = search.from ?? "";
    const input = replay.data.input as { messages?: Message[] } | Message[] | null;
    const list = Array.isArray(input) ? input : (input?.messages ?? []);
    if (list.length) setTurns(list.map((m) => ({ role: m.role, content: plainText(m) })));
    const asked = replay.data.requested_model ?? replay.data.model;
    if (asked && !search.model) patch({ model: asked }, { replace: true });
  }, [replay.data, search.from, search.model, patch]);
  const names = [...new Set([...(model ? [model] : []), ...(models.data ?? [])])];
  return (
    <div className="page">
      <PageHead title="Playground">
        {call.running ? (
          <button type="button" className="button danger" onClick={call.stop}>
            Stop <kbd>Esc</kbd>
          </button>
        ) : (
          <button type="button" className="button primary" disabled={!model} onClick={send}>
            Send <kbd>Ctrl Enter</kbd>
          </button>
        )}
      </PageHead>
      {models.data?.length === 0 && (
        <div className="note" role="note">
          The gateway has no model to call yet: <A href="/settings?tab=routes">add a route</A> or <A href="/deployments">deploy a model</A>.
        </div>
      )}
      <div className="columns">
        <Card title="Request">
          <div className="fields">
            <Field label="Model">
              {(id) => (
                <select id={id} value={model} onChange={(e) => patch({ model: e.target.value }, { replace: true })}>
                  {names.length === 0 && <option value="">none</option>}
                  {names.map((m) => (
                    <option key={m}>{m}</option>
                  ))}
                </select>
              )}
            </Field>
            <Field label="Prompt">
              {(id) => (
                <select id={id} value={search.prompt ?? ""} onChange={(e) => patch({ prompt: e.target.value, version: undefined }, { replace: true })}>
                  <option value="">none</option>
                  {(prompts.data?.items ?? []).map((p) => (
                    <option key={p.name}>{p.name}</option>
                  ))}
                </select>
              )}
            </Field>
            {[
              ["temperature", "Temperature", 0, 2, 0.1],
              ["top_p", "Top p", 0, 1, 0.05],
              ["max_tokens", "Max tokens", 1, 100_000, 1],
            ].map(([key, label, min, max, step]) => (
              <Field key={key} label={String(label)}>
                {(id) => <input id={id} type="number" min={min} max={max} step={step} placeholder="default" value={search[String(key)] ?? ""} onChange={(e) => patch({ [String(key)]: e.target.value }, { replace: true })} />}
              </Field>
            ))}
          </div>
          {search.prompt && (
            <form
              onSubmit={(e) => {
                e.preventDefault();
                fill.mutate(undefined);
              }}
            >
              <Field label="Variables (JSON)">{(id) => <textarea id={id} className="mono" rows={3} value={variables} onChange={(e) => setVariables(e.target.value)} />}</Field>
              <button type="submit" className="button small">
                Fill in “{search.prompt}”
              </button>
            </form>
          )}
          <ol className="turns">
            {turns.map((t, i) => (
              <li key={i}>
                <div className="row">
                  <select aria-label={`Role of message ${i + 1}`} value={t.role} onChange={(e) => setTurns(turns.map((o, n) => (n === i ? { ...o, role: e.target.value } : o)))}>
                    {["system", "user", "assistant"].concat(["system", "user", "assistant"].includes(t.role) ? [] : [t.role]).map((r) => (
                      <option key={r}>{r}</option>
                    ))}
                  </select>
                  {turns.length > 1 && (
                    <button type="button" className="button small push" onClick={() => setTurns(turns.filter((_, n) => n !== i))}>
                      Remove
                    </button>
                  )}
                </div>
                <textarea aria-label={`Message ${i + 1}`} rows={i === turns.length - 1 ? 6 : 3} value={t.content} onChange={(e) => setTurns(turns.map((o, n) => (n === i ? { ...o, content: e.target.value } : o)))} />
              </li>
            ))}
          </ol>
          <button type="button" className="button small" onClick={() => setTurns([...turns, { role: turns[turns.length - 1]?.role === "user" ? "assistant" : "user", content: "" }])}>
            Add a message
          </button>
        </Card>
        <Result call={call} />
      </div>
    </div>
  );
}
