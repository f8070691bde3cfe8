/** The form that evaluates: rows of a dataset, one or more that answer them, and scorers that judge. */
import { useContext, useRef, useState } from "react";
import { useQueries } from "@tanstack/react-query";
import { api, path } from "../../api/client.ts";
import type { Dataset, DatasetDetail, DatasetVersion, EvalRun, Page, Prompt, PromptVersion } from "../../api/types.ts";
import { full, plural } from "../../lib/format.ts";
import { useModels } from "../../lib/callable.ts";
import { ProjectContext, useGo } from "../../lib/nav.tsx";
import { variablesOf } from "../../lib/prompts.ts";
import { useAct, useGet } from "../../lib/query.ts";
import { type Answerer, columnsFor, SCORERS, type SuiteDraft, suitesOf, usual } from "../../lib/suites.ts";
import { Field } from "../bits.tsx";
import { DraftForm } from "../draftform.tsx";

type Put = (change: Partial<SuiteDraft>) => void;

function Options({ names, none }: { names: string[]; none?: string }) {
  return (
    <>
      {none !== undefined && <option value="">{none}</option>}
      {names.map((n) => (
        <option key={n}>{n}</option>
      ))}
    </>
  );
}

/** One that answers: a version of a prompt, put to a model, or a model that gets the question as it is. */
function Answering({ at, one, prompts, models, onChange, onRemove }: { at: number; one: Answerer; prompts: Prompt[]; models: string[]; onChange: (one: Answerer) => void; onRemove?: () => void }) {
  const prompt = prompts.find((p) => p.name === one.prompt);
  const names = one.prompt && !prompt ? [one.prompt] : [];
  const label = `Answer ${at + 1}`;
  return (
    <li className="label-row">
      <select aria-label={`${label}: prompt`} value={one.prompt} onChange={(e) => onChange({ ...one, prompt: e.target.value, version: "" })}>
        <Options names={[...prompts.map((p) => p.name), ...names]} none="the question as it is" />
      </select>
      {one.prompt && (
        <select aria-label={`${label}: version`} value={one.version} onChange={(e) => onChange({ ...one, version: e.target.value })}>
          <option value="">newest</option>
          {Array.from({ length: prompt?.versions ?? Number(one.version) }, (_, i) => (prompt?.versions ?? Number(one.version)) - i).map((n) => (
            <option key={n} value={n}>{`version ${n}`}</option>
          ))}
        </select>
      )}
      <select aria-label={`${label}: model`} value={one.model} onChange={(e) => onChange({ ...one, model: e.target.value })}>
        <Options names={[...new Set([...models, ...(one.model ? [one.model] : [])])]} none={one.prompt ? "the prompt's own model" : "choose a model"} />
      </select>
      {onRemove && (
        <button type="button" className="button small push" aria-label={`Remove answer ${at + 1}`} onClick={onRemove}>
          Remove
        </button>
      )}
    </li>
  );
}

/** Rows: which dataset, which of its rows. */
function Rows({ draft, put, datasets, version }: { draft: SuiteDraft; put: Put; datasets: Dataset[]; version: DatasetDetail | undefined }) {
  const [name = "", number = ""] = draft.dataset.split("@");
  const versions = useGet<Page<DatasetVersion>>(path`/datasets/${name}`, { limit: 200 }, { enabled: !!name });
  return (
    <div className="fields">
      <Field label="Dataset">
        {(id) => (
          <select
            id={id}
            required
            value={name}
            onChange={(e) => {
              const found = datasets.find((d) => d.name === e.target.value);
              put({ dataset: found ? `${found.name}@${found.latest}` : "", split: "", input: "", expected: "" });
            }}
          >
            <Options names={datasets.map((d) => d.name)} none="choose one" />
          </select>
        )}
      </Field>
      <Field label="Version">
        {(id) => (
          <select id={id} value={number} disabled={!name} onChange={(e) => put({ dataset: `${name}@${e.target.value}`, split: "" })}>
            {(versions.data?.items ?? []).map((v) => (
              <option key={v.number} value={v.number}>{`${v.number} · ${full(v.rows)} rows`}</option>
            ))}
          </select>
        )}
      </Field>
      <Field label="Split">
        {(id) => (
          <select id={id} value={draft.split} onChange={(e) => put({ split: e.target.value })}>
            <Options names={Object.keys(version?.splits ?? {})} none="all, each on its own too" />
          </select>
        )}
      </Field>
      <Field label="At most (rows)" hint="Of each split; empty: all">
        {(id) => <input id={id} type="number" min={1} value={draft.limit} onChange={(e) => put({ limit: e.target.value })} />}
      </Field>
    </div>
  );
}

/** Which columns hold the question, the right answer, and what each variable needs. */
function Mapping({ draft, put, columns, variables }: { draft: SuiteDraft; put: Put; columns: string[]; variables: string[] }) {
  const input = draft.input || usual(columns, "input");
  const guess = columnsFor(variables, columns, input);
  return (
    <div className="fields">
      <Field label="Question is in">
        {(id) => (
          <select id={id} value={input} onChange={(e) => put({ input: e.target.value })}>
            <Options names={columns} none="found by its name" />
          </select>
        )}
      </Field>
      <Field label="Right answer is in">
        {(id) => (
          <select id={id} value={draft.expected || usual(columns, "expected")} onChange={(e) => put({ expected: e.target.value })}>
            <Options names={columns} none="found by its name" />
          </select>
        )}
      </Field>
      {variables.map((v) => (
        <Field key={v} label={`{{ ${v} }} is in`}>
          {(id) => (
            <select id={id} value={draft.variables[v] ?? guess[v] ?? ""} onChange={(e) => put({ variables: { ...draft.variables, [v]: e.target.value } })}>
              <Options names={columns} none="no column" />
            </select>
          )}
        </Field>
      ))}
    </div>
  );
}

function Scoring({ draft, put }: { draft: SuiteDraft; put: Put }) {
  return (
    <>
      <fieldset className="checks">
        <legend>Scorers</legend>
        {SCORERS.map(([name, what]) => (
          <label key={name} className="row" title={what}>
            <input
              type="checkbox"
              aria-label={name}
              checked={draft.scorers.includes(name)}
              onChange={(e) => put({ scorers: e.target.checked ? [...draft.scorers, name] : draft.scorers.filter((s) => s !== name) })}
            />
            <span>{name.replace(/_/g, " ")}</span> <span className="muted small">{what}</span>
          </label>
        ))}
      </fieldset>
      <details className="more">
        <summary>Scorers with options, cost and cache</summary>
        <Field label="More scorers (JSON)" hint='Such as [{"judge": {"model": "gpt-large", "rubric": "Is it polite?"}}]'>
          {(id) => <textarea id={id} className="mono" rows={3} value={draft.more} onChange={(e) => put({ more: e.target.value })} />}
        </Field>
        <Field label="Stop before it costs more than (US dollars)">
          {(id) => <input id={id} type="number" min={0} step="any" value={draft.maxCost} onChange={(e) => put({ maxCost: e.target.value })} />}
        </Field>
        <label className="row check">
          <input type="checkbox" checked={draft.cache} onChange={(e) => put({ cache: e.target.checked })} /> Take answers of earlier runs to the very same calls
        </label>
      </details>
    </>
  );
}

/** The variables of the prompts that answer, each once. */
function useVariables(answerers: Answerer[], prompts: Prompt[]): string[] {
  const project = useContext(ProjectContext);
  const numbers = answerers.map((a) => [a.prompt, Number(a.version) || prompts.find((p) => p.name === a.prompt)?.versions || 0] as const).filter(([prompt, number]) => prompt && number);
  const urls = [...new Set(numbers.map(([prompt, number]) => path`/prompts/${prompt}/versions/${number}`))];
  const versions = useQueries({ queries: urls.map((url) => ({ queryKey: [project, url, {}], queryFn: () => api.get<PromptVersion>(url), staleTime: 60_000 })) });
  return [...new Set(versions.flatMap((v) => (v.data ? variablesOf(v.data.body).map((x) => x.name) : [])))];
}

export interface Start {
  dataset?: string;
  answerers: Answerer[];
}

export function EvaluateForm({ start, onClose }: { start: Start; onClose: () => void }) {
  const go = useGo();
  const [draft, setDraft] = useState<SuiteDraft>({ name: "", dataset: start.dataset ?? "", split: "", limit: "", input: "", expected: "", variables: {}, scorers: ["exact", "latency", "cost"], more: "", maxCost: "", cache: false });
  const [answerers, setAnswerers] = useState<Answerer[]>(start.answerers.length ? start.answerers : [{ prompt: "", version: "", model: "" }]);
  const put: Put = (change) => setDraft((old) => ({ ...old, ...change }));
  const datasets = useGet<Page<Dataset>>("/datasets", undefined, { staleTime: 10_000 });
  const prompts = useGet<Page<Prompt>>("/prompts", undefined, { staleTime: 10_000 });
  const models = useModels();
  const [name = "", number = ""] = draft.dataset.split("@");
  const version = useGet<DatasetDetail>(path`/datasets/${name}/versions/${number}`, undefined, { enabled: !!name && !!number, staleTime: 60_000 });
  const columns = (version.data?.schema ?? []).map((c) => c.name);
  const variables = useVariables(answerers, prompts.data?.items ?? []);
  // When one of several is refused, those before it go on: they are not started again with the next try.
  const known = useRef(new Map<string, EvalRun>());
  const started = useAct(
    async (suites: Record<string, unknown>[]) => {
      const runs: EvalRun[] = [];
      for (const suite of suites) {
        const key = JSON.stringify(suite);
        const run = known.current.get(key) ?? (await api.post<EvalRun>("/evals/runs", { suite }));
        known.current.set(key, run);
        runs.push(run);
      }
      return runs;
    },
    (runs) => {
      onClose();
      go(runs.length === 1 ? path`/evaluations/${runs[0]!.id}` : `/evaluations?picked=${runs.map((r) => r.id).join(",")}`);
      return `${plural(runs.length, "evaluation")} started`;
    },
    { quiet: true },
  );
  const read = () => {
    const input = draft.input || usual(columns, "input");
    const mapped = { ...columnsFor(variables, columns, input), ...draft.variables };
    return suitesOf({ ...draft, name: draft.name || name, input, expected: draft.expected || usual(columns, "expected"), variables: Object.fromEntries(variables.map((v) => [v, mapped[v] ?? ""])) }, answerers);
  };
  return (
    <DraftForm read={read} sending={started} action={answerers.length > 1 ? `Evaluate all ${answerers.length}` : "Evaluate"} ready={!!version.data}>
      <Rows draft={draft} put={put} datasets={datasets.data?.items ?? []} version={version.data} />
      <fieldset className="target-rows">
        <legend>What answers</legend>
        <ol>
          {answerers.map((one, i) => (
            <Answering
              key={i}
              at={i}
              one={one}
              prompts={prompts.data?.items ?? []}
              models={models.data ?? []}
              onChange={(next) => setAnswerers(answerers.map((old, n) => (n === i ? next : old)))}
              onRemove={answerers.length > 1 ? () => setAnswerers(answerers.filter((_, n) => n !== i)) : undefined}
            />
          ))}
        </ol>
        <button type="button" className="button small" onClick={() => setAnswerers([...answerers, { ...answerers[answerers.length - 1]! }])}>
          Add one to compare with
        </button>
      </fieldset>
      <Mapping draft={draft} put={put} columns={columns} variables={variables} />
      <Scoring draft={draft} put={put} />
      <Field label="Name" hint="Runs of one name are of one suite">
        {(id) => <input id={id} placeholder={name} value={draft.name} onChange={(e) => put({ name: e.target.value })} />}
      </Field>
    </DraftForm>
  );
}
