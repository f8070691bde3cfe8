/** What a move into a stage takes, as a form: where from, which evaluations, which papers, who must approve. */
import { useState } from "react";
import { api } from "../../api/client.ts";
import type { EvalRun, Model, Page, StageRule } from "../../api/types.ts";
import { useAct, useGet } from "../../lib/query.ts";
import { BLANK_EVALUATION, draftOf, type EvaluationDraft, PAPERS, type RuleDraft, ruleOf, ruleText, STAGES } from "../../lib/registry.ts";
import { Field } from "../bits.tsx";
import { DraftForm } from "../draftform.tsx";

type Put = (change: Partial<RuleDraft>) => void;

const ROLES: [string, string][] = [
  ["member", "a member or above"],
  ["admin", "an admin or above"],
  ["owner", "an owner"],
];

function Ticks({ legend, names, on, put }: { legend: string; names: [string, string][]; on: string[]; put: (on: string[]) => void }) {
  return (
    <fieldset className="checks">
      <legend>{legend}</legend>
      {names.map(([name, text]) => (
        <label key={name} className="row">
          <input type="checkbox" checked={on.includes(name)} onChange={(e) => put(e.target.checked ? [...on, name] : on.filter((x) => x !== name))} /> {text}
        </label>
      ))}
    </fieldset>
  );
}

function Evaluation({ at, draft, onChange, onRemove }: { at: number; draft: EvaluationDraft; onChange: (change: Partial<EvaluationDraft>) => void; onRemove: () => void }) {
  const name = `Evaluation ${at + 1}`;
  const text = (key: "suite" | "metric" | "min" | "max", placeholder: string, more: object = {}) => (
    <input aria-label={`${name}: ${key}`} placeholder={placeholder} value={draft[key]} onChange={(e) => onChange({ [key]: e.target.value })} {...more} />
  );
  return (
    <li className="label-row">
      {text("suite", "suite", { list: "rule-suites", className: "grow" })}
      {text("metric", "metric, such as exact", { size: 16 })}
      {draft.metric && (
        <>
          <select aria-label={`${name}: what counts`} value={draft.bound} onChange={(e) => onChange({ bound: e.target.value })}>
            <option value="value">its value</option>
            <option value="low">its interval’s low end</option>
            <option value="high">its interval’s high end</option>
          </select>
          <label className="row">at least {text("min", "any", { type: "number", step: "any", className: "short" })}</label>
          <label className="row">at most {text("max", "any", { type: "number", step: "any", className: "short" })}</label>
        </>
      )}
      <label className="row">
        <input type="checkbox" checked={draft.gate} onChange={(e) => onChange({ gate: e.target.checked })} /> past its gate
      </label>
      <button type="button" className="button small push" aria-label={`Remove evaluation ${at + 1}`} onClick={onRemove}>
        Remove
      </button>
    </li>
  );
}

function Evaluations({ draft, put }: { draft: RuleDraft; put: Put }) {
  const runs = useGet<Page<EvalRun>>("/evals/runs", undefined, { staleTime: 30_000 });
  const rows = draft.evaluations;
  return (
    <fieldset className="target-rows">
      <legend>Evaluations that must have been passed, on exactly this version</legend>
      <ol>
        {rows.map((r, i) => (
          <Evaluation key={i} at={i} draft={r} onChange={(change) => put({ evaluations: rows.map((old, n) => (n === i ? { ...old, ...change } : old)) })} onRemove={() => put({ evaluations: rows.filter((_, n) => n !== i) })} />
        ))}
      </ol>
      <datalist id="rule-suites">
        {[...new Set((runs.data?.items ?? []).map((r) => r.suite))].map((s) => (
          <option key={s} value={s} />
        ))}
      </datalist>
      <button type="button" className="button small" onClick={() => put({ evaluations: [...rows, BLANK_EVALUATION] })}>
        Add an evaluation
      </button>
    </fieldset>
  );
}

/** `at`: which of the rules is changed; -1 for a new one. */
export function RuleForm({ rules, at, onDone }: { rules: StageRule[]; at: number; onDone: () => void }) {
  const [draft, setDraft] = useState<RuleDraft>(() => draftOf(rules[at]));
  const put: Put = (change) => setDraft((old) => ({ ...old, ...change }));
  const models = useGet<Page<Model>>("/models", undefined, { staleTime: 30_000 });
  const save = useAct(
    (items: StageRule[]) => api.put<Page<StageRule>>("/models/stages", { items }),
    () => {
      onDone();
      return "The rules are saved";
    },
    { quiet: true },
  );
  const read = () => {
    const rule = ruleOf(draft);
    if (rules.some((r, i) => i !== at && r.stage === rule.stage && (r.model ?? "") === rule.model)) throw new Error(`There is a rule for ${rule.stage}${rule.model ? ` of ${rule.model}` : ""} already: change that one.`);
    return at < 0 ? [...rules, rule] : rules.map((r, i) => (i === at ? rule : r));
  };
  return (
    <DraftForm read={read} sending={save} action="Save rule">
      <div className="fields">
        <Field label="Into the stage">
          {(id) => (
            <select id={id} value={draft.stage} onChange={(e) => put({ stage: e.target.value, after: draft.after.filter((s) => s !== e.target.value) })}>
              {STAGES.map((s) => (
                <option key={s}>{s}</option>
              ))}
            </select>
          )}
        </Field>
        <Field label="Of the model" hint="A model's own rule counts instead of the general one">
          {(id) => (
            <select id={id} value={draft.model} onChange={(e) => put({ model: e.target.value })}>
              <option value="">all without their own</option>
              {[...new Set([...(models.data?.items ?? []).map((m) => m.name), ...(draft.model ? [draft.model] : [])])].map((m) => (
                <option key={m}>{m}</option>
              ))}
            </select>
          )}
        </Field>
      </div>
      <Ticks legend="It may come from (none ticked: from any)" names={STAGES.filter((s) => s !== draft.stage).map((s) => [s, s])} on={draft.after} put={(after) => put({ after })} />
      <Evaluations draft={draft} put={put} />
      <Ticks legend="It must have" names={PAPERS} on={draft.papers} put={(papers) => put({ papers })} />
      <div className="fields">
        <Field label="Others who approve">
          {(id) => <input id={id} type="number" min={0} max={20} required value={draft.approvals} onChange={(e) => put({ approvals: e.target.value })} />}
        </Field>
        <Field label="Each of them is">
          {(id) => (
            <select id={id} value={draft.role} disabled={!Number(draft.approvals)} onChange={(e) => put({ role: e.target.value })}>
              {ROLES.map(([value, text]) => (
                <option key={value} value={value}>
                  {text}
                </option>
              ))}
            </select>
          )}
        </Field>
      </div>
      <label className="row check">
        <input type="checkbox" checked={draft.alone} onChange={(e) => put({ alone: e.target.checked })} /> Only one version stands there: the one before is archived
      </label>
      <p className="note" role="status">{`Into ${draft.stage}: ${ruleText(plain(draft))}.`}</p>
    </DraftForm>
  );
}

/** The rule so far, for its sentence: what is not yet a number is left out of it. */
function plain(draft: RuleDraft): StageRule {
  try {
    return ruleOf(draft);
  } catch {
    return ruleOf({ ...draft, evaluations: [] });
  }
}
