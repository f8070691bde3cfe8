import { useContext, useEffect, useRef, useState } from "react";
import { useQuery } from "@tanstack/react-query";
import { api, ApiError, gateway, path } from "../api/client.ts";
import type { Message, Page, Prompt, Rendered, SpanDetail } from "../api/types.ts";
import { Result, useCall } from "../components/answer.tsx";
import { Card, Code, Dialog, Field, PageHead } from "../components/bits.tsx";
import { type Call, messageOf, program, toolsOf } from "../lib/chat.ts";
import { useKeys } from "../lib/keys.ts";
import { plainText } from "../lib/messages.ts";
import { A, ProjectContext, type Search, useSearch } from "../lib/nav.tsx";
import { useAct, useGet } from "../lib/query.ts";
import { callOf as recorded } from "../lib/replay.ts";

interface Turn {
  role: string;
  content: string;
  /** The message as it came, sent as long as its text is not changed: tool calls and attachments stay whole. */
  raw?: Message;
}

const turnOf = (m: Message): Turn => ({ role: m.role, content: plainText(m), raw: m });

function messagesOf(turns: Turn[]): object[] {
  return turns.map(({ role, content, raw }) => (raw && raw.role === role && plainText(raw) === content ? raw : { role, content }));
}

/** The gateway's own list, so that only names that can be called are offered. */
function useModels() {
  const project = useContext(ProjectContext);
  return useQuery<string[], ApiError>({
    queryKey: [project, "v1-models"],
    queryFn: async ({ signal }) => (await gateway<{ data: { id: string }[] }>("GET", "/v1/models", signal)).data.map((m) => m.id),
    staleTime: 10_000,
  });
}

const OWN = "provider/";

/** A route, or any model of a provider as `provider/model`. */
function Choice({ label, value, names, none, onPick }: { label: string; value: string; names: string[]; none?: string; onPick: (value: string) => void }) {
  const own = value !== "" && !names.includes(value);
  const providers = useGet<Page<{ name: string }>>("/providers", undefined, { enabled: own, staleTime: 30_000 });
  return (
    <>
      <Field label={label}>
        {(id) => (
          <select id={id} value={own ? OWN : value} onChange={(e) => onPick(e.target.value)}>
            {(none !== undefined || !names.length) && <option value="">{none ?? "none"}</option>}
            {names.length > 0 && (
              <optgroup label="Routes">
                {names.map((m) => (
                  <option key={m}>{m}</option>
                ))}
              </optgroup>
            )}
            <option value={OWN}>provider/model…</option>
          </select>
        )}
      </Field>
      {own && (
        <Field label={none === undefined ? "Provider and name" : "Second provider and name"}>
          {(id) => (
            <>
              <input id={id} className="mono" list={`${id}-providers`} placeholder="openai/gpt-4o-mini" value={value} onChange={(e) => onPick(e.target.value || OWN)} />
              <datalist id={`${id}-providers`}>
                {(providers.data?.items ?? []).map((p) => (
                  <option key={p.name} value={`${p.name}/`} />
                ))}
              </datalist>
            </>
          )}
        </Field>
      )}
    </>
  );
}

const NUMBERS: [key: string, label: string, min: number, max: number, step: number | "any"][] = [
  ["temperature", "Temperature", 0, 2, "any"],
  ["top_p", "Top p", 0, 1, "any"],
  ["max_tokens", "Max tokens", 1, 1_000_000, 1],
  ["seed", "Seed", 0, 2_147_483_647, 1],
];

const CACHING: [value: string, label: string][] = [
  ["", "as the route says"],
  ["no-cache", "ask anew, keep the answer"],
  ["no-store", "neither look nor keep"],
];

function Settings({ search, patch }: { search: Search; patch: ReturnType<typeof useSearch>[1] }) {
  const set = (key: string) => (e: { target: { value: string } }) => patch({ [key]: e.target.value }, { replace: true });
  return (
    <div className="fields">
      {NUMBERS.map(([key, label, min, max, step]) => (
        <Field key={key} label={label}>
          {(id) => <input id={id} type="number" min={min} max={max} step={step} placeholder="default" value={search[key] ?? ""} onChange={set(key)} />}
        </Field>
      ))}
      <Field label="Stop at">{(id) => <input id={id} placeholder="nothing" value={search.stop ?? ""} onChange={set("stop")} />}</Field>
      <Field label="Cache">
        {(id) => (
          <select id={id} value={search.cache ?? ""} onChange={set("cache")}>
            {CACHING.map(([value, label]) => (
              <option key={value} value={value}>
                {label}
              </option>
            ))}
          </select>
        )}
      </Field>
      <Field label="Answer">
        {(id) => (
          <select id={id} value={search.stream ?? ""} onChange={set("stream")}>
            <option value="">streamed</option>
            <option value="0">whole</option>
          </select>
        )}
      </Field>
    </div>
  );
}

const ROLES = ["system", "user", "assistant"];

function Turns({ turns, onChange }: { turns: Turn[]; onChange: (turns: Turn[]) => void }) {
  const put = (i: number, change: Partial<Turn>) => onChange(turns.map((o, n) => (n === i ? { ...o, ...change } : o)));
  return (
    <>
      <ol className="turns">
        {turns.map((t, i) => (
          <li key={i}>
            <div className="row">
              <select aria-label={`Role of message ${i + 1}`} value={t.role} onChange={(e) => put(i, { role: e.target.value })}>
                {[...ROLES, ...(ROLES.includes(t.role) ? [] : [t.role])].map((r) => (
                  <option key={r}>{r}</option>
                ))}
              </select>
              {turns.length > 1 && (
                <button type="button" className="button small push" onClick={() => onChange(turns.filter((_, n) => n !== i))}>
                  Remove
                </button>
              )}
            </div>
            <textarea aria-label={`Message ${i + 1}`} rows={i === turns.length - 1 ? 6 : 3} value={t.content} onChange={(e) => put(i, { content: e.target.value })} />
          </li>
        ))}
      </ol>
      <span className="row">
        <button type="button" className="button small" onClick={() => onChange([...turns, { role: turns[turns.length - 1]?.role === "user" ? "assistant" : "user", content: "" }])}>
          Add a message
        </button>
        {turns[0]?.role !== "system" && (
          <button type="button" className="button small" onClick={() => onChange([{ role: "system", content: "" }, ...turns])}>
            Add a system prompt
          </button>
        )}
      </span>
    </>
  );
}

function Fill({ search, onFill }: { search: Search; onFill: (turns: Turn[]) => void }) {
  const prompt = useGet<Prompt>(path`/prompts/${search.prompt!}`);
  const [variables, setVariables] = useState("{}");
  const fill = useAct(
    () => api.post<Rendered>(path`/prompts/${search.prompt!}/render`, { version: search.version ? Number(search.version) : (prompt.data?.versions ?? 1), variables: JSON.parse(variables) as unknown }),
    (r) => onFill(r.kind === "chat" ? r.messages.map(turnOf) : [{ role: "user", content: r.text }]),
  );
  return (
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
  );
}

function Tools({ source, problem, onChange }: { source: string; problem: string; onChange: (source: string) => void }) {
  return (
    <details className="more" open={!!source || undefined}>
      <summary>Tools</summary>
      <Field label="Tools (JSON)" hint={problem ? <span className="bad-ink">{problem}</span> : "A list, as in the OpenAI API; calls are shown, not made."}>
        {(id) => (
          <textarea
            id={id}
            className="mono"
            rows={5}
            aria-invalid={!!problem}
            placeholder={'[{"type": "function", "function": {"name": "find_order", "parameters": {"type": "object", "properties": {}}}}]'}
            value={source}
            onChange={(e) => onChange(e.target.value)}
          />
        )}
      </Field>
    </details>
  );
}

function Program({ call, cache, open, onClose }: { call: Call; cache: string | undefined; open: boolean; onClose: () => void }) {
  const [kind, setKind] = useState<"curl" | "python">("curl");
  return (
    <Dialog open={open} onClose={onClose} title="This call from your code" wide>
      <div className="segments" role="group" aria-label="Client">
        {(["curl", "python"] as const).map((id) => (
          <button key={id} type="button" aria-pressed={kind === id} onClick={() => setKind(id)}>
            {id === "python" ? "openai-python" : id}
          </button>
        ))}
      </div>
      <div className="spaced">
        <Code text={program(kind, window.location.origin, call, { cache })} label="Program" />
      </div>
    </Dialog>
  );
}

/** What a recorded call asked for, read back once. */
function useReplay(from: string | undefined, take: (span: SpanDetail) => void) {
  const [traceId, spanId] = (from ?? "").split(":");
  const replay = useGet<SpanDetail>(path`/traces/${traceId ?? ""}/spans/${spanId ?? ""}`, undefined, { enabled: !!spanId });
  const loaded = useRef("");
  useEffect(() => {
    if (!replay.data || !from || loaded.current === from) return;
    loaded.current = from;
    take(replay.data);
  }, [replay.data, from, take]);
}

function parsed(source: string): { tools?: unknown[]; problem: string } {
  try {
    return { tools: toolsOf(source), problem: "" };
  } catch (error) {
    return { problem: (error as Error).message };
  }
}

export default function Playground() {
  const [search, patch] = useSearch();
  const models = useModels();
  const prompts = useGet<Page<Prompt>>("/prompts");
  const [turns, setTurns] = useState<Turn[]>([{ role: "user", content: "" }]);
  const [source, setSource] = useState("");
  const [coding, setCoding] = useState(false);
  const names = models.data ?? [];
  const model = search.model ?? names[0] ?? "";
  const versus = search.versus ?? "";
  const first = useCall();
  const second = useCall();
  const running = first.running || second.running;
  const { tools, problem } = parsed(source);
  const number = (key: string) => (search[key] && !Number.isNaN(Number(search[key])) ? Number(search[key]) : undefined);
  const callOf = (name: string): Call => ({
    model: name,
    messages: messagesOf(turns),
    tools,
    temperature: number("temperature"),
    top_p: number("top_p"),
    max_tokens: number("max_tokens"),
    seed: number("seed"),
    stop: search.stop ? [search.stop] : undefined,
    stream: search.stream !== "0",
  });
  const sendable = !!model && !model.endsWith("/") && !versus.endsWith("/") && !problem && turns.some((t) => t.content.trim() || t.raw);
  const send = () => {
    if (!sendable) return;
    void first.send(callOf(model), { cache: search.cache });
    if (versus) void second.send(callOf(versus), { cache: search.cache });
  };
  const stop = () => {
    first.stop();
    second.stop();
  };
  useKeys({
    "mod+Enter": (e) => {
      e.preventDefault();
      send();
    },
    Escape: stop,
  });
  useReplay(search.from, (span) => {
    const call = recorded(span);
    if (!call) return;
    if (call.messages.length) setTurns((call.messages as Message[]).map(turnOf));
    if (call.tools) setSource(JSON.stringify(call.tools, null, 2));
    const given: Record<string, string> = Object.fromEntries(NUMBERS.filter(([key]) => search[key] === undefined && call[key as "seed"] !== undefined).map(([key]) => [key, String(call[key as "seed"])]));
    if (call.model && !search.model) given.model = call.model;
    if (Object.keys(given).length) patch(given, { replace: true });
  });
  const goOn = (call: ReturnType<typeof useCall>) => () => call.answer && setTurns([...turns, turnOf(messageOf(call.answer) as Message), { role: "user", content: "" }]);
  return (
    <div className="page">
      <PageHead title="Playground">
        <button type="button" className="button" disabled={!sendable} onClick={() => setCoding(true)}>
          Code
        </button>
        {running ? (
          <button type="button" className="button danger" onClick={stop}>
            Stop <kbd>Esc</kbd>
          </button>
        ) : (
          <button type="button" className="button primary" disabled={!model || model.endsWith("/") || versus.endsWith("/") || !!problem} onClick={send}>
            Send <kbd>Ctrl Enter</kbd>
          </button>
        )}
      </PageHead>
      {models.error && (
        <div className="note bad" role="alert">
          {models.error.message}
        </div>
      )}
      {models.data?.length === 0 && (
        <div className="note" role="note">
          The gateway has no model to call yet: <A href="/gateway">add a route</A> or <A href="/deployments">deploy a model</A>.
        </div>
      )}
      <div className={versus ? "columns three" : "columns"}>
        <Card title="Request">
          <div className="fields">
            <Choice label="Model" value={model} names={names} onPick={(value) => patch({ model: value }, { replace: true })} />
            <Choice label="Compare with" value={versus} names={names} none="nothing" onPick={(value) => patch({ versus: value }, { replace: true })} />
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
          </div>
          {search.prompt && <Fill key={search.prompt} search={search} onFill={setTurns} />}
          <Turns turns={turns} onChange={setTurns} />
          <details className="more" open>
            <summary>Parameters</summary>
            <Settings search={search} patch={patch} />
          </details>
          <Tools source={source} problem={problem} onChange={setSource} />
        </Card>
        <Result title={versus ? model : "Answer"} call={first} onContinue={goOn(first)} />
        {versus && <Result title={versus} call={second} onContinue={goOn(second)} />}
      </div>
      <Program call={callOf(model)} cache={search.cache} open={coding} onClose={() => setCoding(false)} />
    </div>
  );
}
