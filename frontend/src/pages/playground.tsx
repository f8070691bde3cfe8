import { useCallback, useEffect, useMemo, useRef, useState } from "react";
import { api, path } from "../api/client.ts";
import type { Message, Page, Prompt, PromptVersion, Rendered, SpanDetail } from "../api/types.ts";
import { Card, Field, PageHead } from "../components/bits.tsx";
import { type Handle, PlaygroundColumn } from "../components/playground/column.tsx";
import { KeepVersion } from "../components/playground/keep.tsx";
import { Choice, messagesOf, NUMBERS, Program, Settings, Tools, type Turn, turnOf, Turns } from "../components/playground/request.tsx";
import { VariableInputs } from "../components/prompts/variables.tsx";
import { type Answer, type Call, messageOf, toolsOf } from "../lib/chat.ts";
import { useModels } from "../lib/callable.ts";
import { useKeys } from "../lib/keys.ts";
import { A, type Search, useGo, useSearch } from "../lib/nav.tsx";
import { type Column, columnsOf, columnsText, filled, mentioned, valuesOf, variablesOf } from "../lib/prompts.ts";
import { useAct, useGet } from "../lib/query.ts";
import { callOf as recorded } from "../lib/replay.ts";
import { type Answerer, answerersText } from "../lib/suites.ts";

/** A prompt's version: rendered into the messages of the page, or its template to go on from. */
function Fill({ search, texts, onTexts, onFill }: { search: Search; texts: Record<string, string>; onTexts: (texts: Record<string, string>) => void; onFill: (turns: Turn[]) => void }) {
  const prompt = useGet<Prompt>(path`/prompts/${search.prompt!}`);
  const number = search.version ? Number(search.version) : prompt.data?.versions;
  const version = useGet<PromptVersion>(path`/prompts/${search.prompt!}/versions/${number ?? 0}`, undefined, { enabled: number !== undefined });
  const variables = version.data ? variablesOf(version.data.body) : [];
  const fill = useAct(
    (values: Record<string, unknown>) => api.post<Rendered>(path`/prompts/${search.prompt!}/render`, { version: number, variables: values }),
    (r) => onFill(r.kind === "chat" ? r.messages.map(turnOf) : [{ role: "user", content: r.text }]),
  );
  const [problem, setProblem] = useState("");
  const render = () => {
    try {
      const values = valuesOf(variables, texts);
      setProblem("");
      fill.mutate(values);
    } catch (error) {
      setProblem((error as Error).message);
    }
  };
  const body = version.data?.body;
  return (
    <form
      onSubmit={(e) => {
        e.preventDefault();
        render();
      }}
    >
      <VariableInputs variables={variables} texts={texts} onChange={onTexts} />
      {problem && <div className="note bad">{problem}</div>}
      <span className="row fill-row">
        <button type="submit" className="button small" disabled={!body}>
          Fill in “{search.prompt}”
        </button>
        <button type="button" className="button small" disabled={!body} onClick={() => body && onFill(body.kind === "chat" ? body.messages.map(turnOf) : [{ role: "user", content: body.text }])}>
          Edit its template
        </button>
      </span>
    </form>
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

/** Which prompt's version a column asks; empty for the messages of the page. */
function Asks({ at, column, prompts, onChange }: { at: number; column: Column; prompts: Prompt[]; onChange: (prompt: string) => void }) {
  const options = prompts.flatMap((p) => Object.entries(p.labels).map(([label, n]): [string, string] => [`${p.name}@${n}`, `${p.name} ${label} (${n})`]));
  const known = [...new Map(options).entries()];
  if (column.prompt && !known.some(([value]) => value === column.prompt)) known.push([column.prompt, column.prompt]);
  return (
    <Field label={`Column ${at + 1} asks`}>
      {(id) => (
        <select id={id} value={column.prompt} onChange={(e) => onChange(e.target.value)}>
          <option value="">the messages below</option>
          {known.map(([value, text]) => (
            <option key={value} value={value}>
              {text}
            </option>
          ))}
        </select>
      )}
    </Field>
  );
}

/** Models and prompts to compare: the first column has the name `model` in the address, the others `versus`. */
function Columns({ columns, names, prompts, onChange }: { columns: Column[]; names: string[]; prompts: Prompt[]; onChange: (columns: Column[]) => void }) {
  const put = (i: number, change: Partial<Column>) => onChange(columns.map((c, n) => (n === i ? { ...c, ...change } : c)));
  const several = columns.length > 1;
  return (
    <>
      {columns.map((c, i) => (
        <div key={i} className="fields column-fields">
          {i === 0 ? (
            <Choice label="Model" value={c.model} names={names} onPick={(model) => put(0, { model })} />
          ) : (
            <Choice label={i === 1 ? "Compare with" : `Compare with (${i})`} value={c.model} names={names} none="remove this column" onPick={(model) => (model ? put(i, { model }) : onChange(columns.filter((_, n) => n !== i)))} />
          )}
          {several && prompts.length > 0 && <Asks at={i} column={c} prompts={prompts} onChange={(prompt) => put(i, { prompt })} />}
        </div>
      ))}
      {several ? (
        <button type="button" className="button small" onClick={() => onChange([...columns, { ...columns[columns.length - 1]! }])}>
          Add a column
        </button>
      ) : (
        <div className="fields">
          <Choice label="Compare with" value="" names={names} none="nothing" onPick={(model) => model && onChange([...columns, { model, prompt: "" }])} />
        </div>
      )}
    </>
  );
}

function parsed(source: string): { tools?: unknown[]; problem: string } {
  try {
    return { tools: toolsOf(source), problem: "" };
  } catch (error) {
    return { problem: (error as Error).message };
  }
}

const unfinished = (model: string): boolean => !model || model.endsWith("/");

/** The messages of the page, with the variables they mention filled in. */
function useMessages(texts: Record<string, string>) {
  const [turns, setTurns] = useState<Turn[]>([{ role: "user", content: "" }]);
  const names = useMemo(() => mentioned(turns.map((t) => t.content)), [turns]);
  const sent = turns.map((t) => {
    const content = filled(t.content, texts);
    return content === t.content ? t : { role: t.role, content };
  });
  return { turns, setTurns, names, messages: messagesOf(sent), template: messagesOf(turns) as Message[] };
}

/** Values for prompts of single columns: what is JSON is sent as such, the rest as text. */
function loose(texts: Record<string, string>): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(texts)
      .filter(([, text]) => text !== "")
      .map(([name, text]) => {
        if (!/^\s*[[{]/.test(text)) return [name, text];
        try {
          return [name, JSON.parse(text) as unknown];
        } catch {
          return [name, text]; // A text that only looks like JSON.
        }
      }),
  );
}

/** All columns at once: whether any runs, and what sends to or stops them all. */
function useColumns() {
  const handles = useRef(new Map<number, Handle>());
  const [running, setRunning] = useState<Record<number, boolean>>({});
  const onRunning = useCallback((at: number, on: boolean) => setRunning((old) => (!!old[at] === on ? old : { ...old, [at]: on })), []);
  const each = (how: keyof Handle) => () => handles.current.forEach((h) => h[how]());
  return { handles, onRunning, running: Object.values(running).some(Boolean), send: each("send"), stop: each("stop") };
}

function answererOf(column: Column, kept: PromptVersion | undefined): Answerer {
  const [prompt = "", version = ""] = (column.prompt || (kept ? kept.ref : "")).split("@");
  return { prompt, version, model: column.model };
}

export default function Playground() {
  const [search, patch] = useSearch();
  const go = useGo();
  const models = useModels();
  const prompts = useGet<Page<Prompt>>("/prompts");
  const [texts, setTexts] = useState<Record<string, string>>({});
  const { turns, setTurns, names: asked, messages, template } = useMessages(texts);
  const [source, setSource] = useState("");
  const [open, setOpen] = useState<"code" | "keep" | "run" | null>(null);
  const names = models.data ?? [];
  const columns: Column[] = [columnsOf(search.model || names[0])[0] ?? { model: "", prompt: "" }, ...columnsOf(search.versus)];
  const several = columns.length > 1;
  const all = useColumns();
  const { tools, problem } = parsed(source);
  const number = (key: string) => (search[key] && !Number.isNaN(Number(search[key])) ? Number(search[key]) : undefined);
  const callOf = (name: string): Call => ({
    model: name,
    messages,
    tools,
    temperature: number("temperature"),
    top_p: number("top_p"),
    max_tokens: number("max_tokens"),
    seed: number("seed"),
    stop: search.stop ? [search.stop] : undefined,
    stream: search.stream !== "0",
  });
  const ready = !problem && !columns.some((c) => unfinished(c.model));
  const sendable = ready && (turns.some((t) => t.content.trim() || t.raw) || columns.every((c) => c.prompt));
  const send = () => sendable && all.send();
  const put = (next: Column[]) => patch({ model: columnsText(next.slice(0, 1)), versus: columnsText(next.slice(1)) }, { replace: true });
  useKeys({
    "mod+Enter": (e) => {
      e.preventDefault();
      send();
    },
    Escape: all.stop,
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
  const goOn = (answer: Answer) => setTurns([...turns, turnOf(messageOf(answer) as Message), { role: "user", content: "" }]);
  /** Every column becomes one that answers; those that ask the page's messages ask the version these were saved as. */
  const experiment = (kept?: PromptVersion) => go(`/evaluations?${new URLSearchParams({ new: "1", answer: answerersText(columns.map((c) => answererOf(c, kept))) })}`);
  const titleOf = (c: Column) => (!several ? "Answer" : c.prompt ? `${c.model} · ${c.prompt}` : c.model);
  return (
    <div className="page">
      <PageHead title="Playground">
        <button type="button" className="button" disabled={!turns.some((t) => t.content.trim() || t.raw) || !!problem} onClick={() => setOpen("keep")}>
          Save as version
        </button>
        <button type="button" className="button" disabled={!sendable} title="Every column answers every row; the answers are scored and compared" onClick={() => (columns.every((c) => c.prompt) ? experiment() : setOpen("run"))}>
          Run over a dataset
        </button>
        <button type="button" className="button" disabled={!sendable} onClick={() => setOpen("code")}>
          Code
        </button>
        {all.running ? (
          <button type="button" className="button danger" onClick={all.stop}>
            Stop <kbd>Esc</kbd>
          </button>
        ) : (
          <button type="button" className="button primary" disabled={!ready} onClick={send}>
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
      <div className={several ? "playground several" : "playground"}>
        <Card title="Request">
          <Columns columns={columns} names={names} prompts={prompts.data?.items ?? []} onChange={put} />
          <div className="fields">
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
          {search.prompt && <Fill key={search.prompt} search={search} texts={texts} onTexts={setTexts} onFill={setTurns} />}
          <Turns turns={turns} onChange={setTurns} />
          {asked.length > 0 && (
            <details className="more" open>
              <summary>Variables</summary>
              {asked.map((name) => (
                <Field key={name} label={`{{ ${name} }}`}>
                  {(id) => <textarea id={id} rows={2} value={texts[name] ?? ""} onChange={(e) => setTexts({ ...texts, [name]: e.target.value })} />}
                </Field>
              ))}
              <div className="hint">Plain {"{{ name }}"} is filled in here; filters and blocks work once it is saved as a version.</div>
            </details>
          )}
          <details className="more" open>
            <summary>Parameters</summary>
            <Settings search={search} patch={patch} />
          </details>
          <Tools source={source} problem={problem} onChange={setSource} />
        </Card>
        <div className="playground-answers" tabIndex={0} role="region" aria-label="What came back">
          {columns.map((c, i) => (
            <PlaygroundColumn key={i} at={i} column={c} title={titleOf(c)} callOf={callOf} variables={loose(texts)} cache={search.cache} handles={all.handles} onRunning={all.onRunning} onContinue={goOn} />
          ))}
        </div>
      </div>
      <Program call={callOf(columns[0]!.model)} cache={search.cache} open={open === "code"} onClose={() => setOpen(null)} />
      <KeepVersion
        open={open === "keep" || open === "run"}
        onClose={() => setOpen(null)}
        then={open === "run" ? experiment : undefined}
        prompts={prompts.data}
        start={search.prompt ?? ""}
        messages={template}
        tools={tools}
        settings={{ model: columns[0]!.model, temperature: number("temperature"), top_p: number("top_p"), max_tokens: number("max_tokens"), seed: number("seed") }}
      />
    </div>
  );
}
