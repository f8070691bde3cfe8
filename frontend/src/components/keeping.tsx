/** What the project keeps of its traces, samples and masks: one form, with what it let go so far. */
import { useState } from "react";
import { api } from "../api/client.ts";
import type { KeyRule, PatternRule, Policies, StoredPolicies } from "../api/types.ts";
import { full } from "../lib/format.ts";
import { BLANK_SAMPLING, type KeepingDraft, keepingOf, kept, PII_KINDS, policiesOf, type SamplingDraft, WHERE } from "../lib/keeping.ts";
import { useAct, useGet } from "../lib/query.ts";
import { Card, Facts, Field, Table, When } from "./bits.tsx";
import { DraftForm } from "./draftform.tsx";
import { Ready } from "./state.tsx";

type Put = (change: Partial<KeepingDraft>) => void;

function Removing({ what, onRemove }: { what: string; onRemove: () => void }) {
  return (
    <button type="button" className="button small push" aria-label={`Remove ${what}`} onClick={onRemove}>
      Remove
    </button>
  );
}

function SamplingRow({ at, rule, onChange, onRemove }: { at: number; rule: SamplingDraft; onChange: (change: Partial<SamplingDraft>) => void; onRemove: () => void }) {
  const name = `Rule ${at + 1}`;
  const text = (key: "name" | "where" | "below" | "percent" | "slower" | "costlier", label: string, more: object = {}) => (
    <input aria-label={`${name}: ${label}`} value={rule[key]} onChange={(e) => onChange({ [key]: e.target.value })} {...more} />
  );
  return (
    <li className="label-row">
      {text("name", "name", { placeholder: "busy production", size: 18 })}
      <label className="row">keeps {text("percent", "per cent", { type: "number", min: 0, max: 100, step: "any", className: "short" })} %</label>
      <label className="row grow">
        where {text("where", "where", { className: "grow mono", placeholder: "route=health environment=production" })}
      </label>
      <Removing what={`rule ${at + 1}`} onRemove={onRemove} />
      <span className="row wrap-row">
        and always:
        <label className="row">
          <input type="checkbox" checked={rule.errors} onChange={(e) => onChange({ errors: e.target.checked })} /> failed
        </label>
        <label className="row">
          <input type="checkbox" checked={rule.judged} onChange={(e) => onChange({ judged: e.target.checked })} /> judged
        </label>
        <label className="row">slower than {text("slower", "slower than (ms)", { type: "number", min: 0, step: "any", className: "short" })} ms</label>
        <label className="row">dearer than {text("costlier", "dearer than (US dollars)", { type: "number", min: 0, step: "any", className: "short" })} $</label>
        <label className="row">scores below {text("below", "scores below", { className: "mono", size: 14, placeholder: "thumb=0.5" })}</label>
      </span>
    </li>
  );
}

function Sampling({ draft, put }: { draft: KeepingDraft; put: Put }) {
  const rows = draft.sampling;
  return (
    <fieldset className="target-rows">
      <legend>Sampling: the first rule that a trace meets decides; a trace that meets none stays</legend>
      <ol>
        {rows.map((r, i) => (
          <SamplingRow key={i} at={i} rule={r} onChange={(change) => put({ sampling: rows.map((old, n) => (n === i ? { ...old, ...change } : old)) })} onRemove={() => put({ sampling: rows.filter((_, n) => n !== i) })} />
        ))}
      </ol>
      <button type="button" className="button small" onClick={() => put({ sampling: [...rows, BLANK_SAMPLING] })}>
        Add a sampling rule
      </button>
      <div className="hint">{`A rule may ask for ${WHERE.join(", ")}. Sums of calls, tokens and cost stay those of all traffic.`}</div>
    </fieldset>
  );
}

function Patterns({ rows, put }: { rows: PatternRule[]; put: (rows: PatternRule[]) => void }) {
  const change = (i: number, more: Partial<PatternRule>) => put(rows.map((old, n) => (n === i ? { ...old, ...more } : old)));
  return (
    <fieldset className="target-rows">
      <legend>Texts that match an expression (RE2)</legend>
      <ol>
        {rows.map((r, i) => (
          <li key={i} className="label-row">
            <input aria-label={`Pattern ${i + 1}: name`} placeholder="ticket" size={14} value={r.name} onChange={(e) => change(i, { name: e.target.value })} />
            <input aria-label={`Pattern ${i + 1}: expression`} placeholder="T-[0-9]{4,}" className="grow mono" value={r.pattern} onChange={(e) => change(i, { pattern: e.target.value })} />
            <label className="row">
              become <input aria-label={`Pattern ${i + 1}: replacement`} placeholder={r.name ? `[${r.name.toUpperCase()}]` : "[NAME]"} size={14} value={r.replacement ?? ""} onChange={(e) => change(i, { replacement: e.target.value || null })} />
            </label>
            <Removing what={`pattern ${i + 1}`} onRemove={() => put(rows.filter((_, n) => n !== i))} />
          </li>
        ))}
      </ol>
      <button type="button" className="button small" onClick={() => put([...rows, { name: "", pattern: "", replacement: null }])}>
        Add a pattern
      </button>
    </fieldset>
  );
}

const ACTIONS: [KeyRule["action"], string][] = [
  ["drop", "left out"],
  ["mask", "replaced by [MASKED]"],
  ["hash", "a keyed hash: the same value stays findable"],
];

function Keys({ rows, put }: { rows: KeyRule[]; put: (rows: KeyRule[]) => void }) {
  const change = (i: number, more: Partial<KeyRule>) => put(rows.map((old, n) => (n === i ? { ...old, ...more } : old)));
  return (
    <fieldset className="target-rows">
      <legend>Values under keys</legend>
      <ol>
        {rows.map((r, i) => (
          <li key={i} className="label-row">
            <input aria-label={`Key ${i + 1}: name`} placeholder="*password*" className="grow mono" value={r.key} onChange={(e) => change(i, { key: e.target.value })} />
            <select aria-label={`Key ${i + 1}: becomes`} value={r.action} onChange={(e) => change(i, { action: e.target.value as KeyRule["action"] })}>
              {ACTIONS.map(([value, text]) => (
                <option key={value} value={value}>
                  {text}
                </option>
              ))}
            </select>
            <Removing what={`key ${i + 1}`} onRemove={() => put(rows.filter((_, n) => n !== i))} />
          </li>
        ))}
      </ol>
      <button type="button" className="button small" onClick={() => put([...rows, { key: "", action: "drop" }])}>
        Add a key
      </button>
      <div className="hint">* and ? stand for anything; user, session, error, tags, input and output are such keys too.</div>
    </fieldset>
  );
}

function Masking({ draft, put, others }: { draft: KeepingDraft; put: Put; others: string[] }) {
  return (
    <>
      <label className="row check">
        <input type="checkbox" checked={draft.pii !== null} onChange={(e) => put({ pii: e.target.checked ? "" : null })} /> Personal data is found and replaced
      </label>
      {draft.pii !== null && (
        <Field label="Kinds of personal data" hint={`${PII_KINDS.join(", ")}; empty: all of them`}>
          {(id) => <input id={id} value={draft.pii ?? ""} onChange={(e) => put({ pii: e.target.value })} />}
        </Field>
      )}
      <label className="row check">
        <input type="checkbox" checked={draft.secrets} onChange={(e) => put({ secrets: e.target.checked })} /> Keys and tokens of services are found and replaced
      </label>
      {others.length > 0 && <p className="muted small">{`Maskers of your own stay as they are: ${others.join(", ")}.`}</p>}
      <Patterns rows={draft.patterns} put={(patterns) => put({ patterns })} />
      <Keys rows={draft.keys} put={(keys) => put({ keys })} />
    </>
  );
}

function Form({ stored }: { stored: StoredPolicies }) {
  const { policies } = stored;
  const [draft, setDraft] = useState(() => keepingOf(policies));
  const put: Put = (change) => setDraft((old) => ({ ...old, ...change }));
  const save = useAct((body: Policies) => api.put<StoredPolicies>("/traces/policies", body), "Saved: it holds within a second", { quiet: true });
  const read = () => policiesOf(draft, policies);
  return (
    <DraftForm read={read} sending={save} action="Save policies">
      <Card title="How long">
        <div className="fields">
          <Field label="Days" hint="0: for ever; empty: as the server's settings say">
            {(id) => <input id={id} type="number" min={0} value={draft.days} onChange={(e) => put({ days: e.target.value })} />}
          </Field>
          <Field label="Traces" hint="The newest stay; 0: all; empty: as the settings say">
            {(id) => <input id={id} type="number" min={0} value={draft.traces} onChange={(e) => put({ traces: e.target.value })} />}
          </Field>
        </div>
        <Facts items={[["Holds now", `${kept(stored.effective.days, "days")}; ${kept(stored.effective.traces, "traces")}`], ["Changed", stored.updated_at && <When at={stored.updated_at} />], ["By", stored.updated_by]]} />
      </Card>
      <Card title="Which of them">
        <Sampling draft={draft} put={put} />
      </Card>
      <Card title="What is never stored">
        <Masking draft={draft} put={put} others={Object.keys(policies.masking.detectors).filter((n) => n !== "pii" && n !== "secrets")} />
      </Card>
    </DraftForm>
  );
}

export function Keeping() {
  const stored = useGet<StoredPolicies>("/traces/policies");
  return (
    <Ready query={stored}>
      {(s) => (
        <>
          <Form key={s.updated_at ?? ""} stored={s} />
          <Card title="Let go so far" flush>
            {s.let_go.length ? (
              <Table
                label="Let go"
                rows={s.let_go}
                keyOf={(l) => `${l.day} ${l.reason}`}
                columns={[
                  { head: "Day (UTC)", cell: (l) => l.day },
                  { head: "Why", cell: (l) => l.reason.replace(/_/g, " ") },
                  { head: "Traces", cell: (l) => full(l.traces), num: true },
                  { head: "Spans", cell: (l) => full(l.spans), num: true },
                ]}
              />
            ) : (
              <p className="muted pad">Nothing yet.</p>
            )}
          </Card>
        </>
      )}
    </Ready>
  );
}
