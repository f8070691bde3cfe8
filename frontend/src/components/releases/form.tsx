import { useState } from "react";
import { api } from "../../api/client.ts";
import type { Release } from "../../api/types.ts";
import { useSearch } from "../../lib/nav.tsx";
import { useAct, useGet } from "../../lib/query.ts";
import { type Draft, hasSteps, KINDS, planOf, SUBJECTS } from "../../lib/releases.ts";
import { Field } from "../bits.tsx";

const PLACE: Record<string, { label: string; from: string }> = {
  deployment: { label: "Deployment", from: "/deployments" },
  prompt: { label: "Prompt", from: "/prompts" },
  model: { label: "Route", from: "/routes" },
  route: { label: "Route", from: "/routes" },
  params: { label: "Route", from: "/routes" },
};
const VALUE: Record<string, { label: string; example: string }> = {
  deployment: { label: "model version", example: "ticket-triage@4" },
  model: { label: "model", example: "gpt-small" },
  prompt: { label: "version", example: "4" },
  route: { label: "route", example: "support-fast" },
  params: { label: "parameters", example: '{"temperature": 0}' },
};
const METRICS = ["errors", "latency", "cost", "guard_hits", "first_token", "output_tokens", "feedback:thumb", "score:exact_match"];

const FIRST: Draft = {
  name: "",
  kind: "canary",
  what: "deployment",
  place: "",
  arms: [
    { name: "stable", provider: "", value: "", weight: "1" },
    { name: "candidate", provider: "", value: "", weight: "1" },
  ],
  steps: "5, 25, 50",
  metrics: [
    { name: "errors", direction: "", harm: "" },
    { name: "latency", direction: "", harm: "" },
  ],
  alpha: "0.05",
  sticky: "user",
};

type Set = (change: Partial<Draft>) => void;

function Arms({ draft, set }: { draft: Draft; set: Set }) {
  const rows = draft.arms;
  const value = VALUE[draft.what]!;
  const change = (i: number, more: Partial<Draft["arms"][number]>) => set({ arms: rows.map((r, n) => (n === i ? { ...r, ...more } : r)) });
  return (
    <fieldset className="target-rows">
      <legend>Arms: the first is how things are</legend>
      <ol>
        {rows.map((r, i) => (
          <li key={i}>
            <input size={10} aria-label={`Arm ${i + 1}: name`} value={r.name} onChange={(e) => change(i, { name: e.target.value })} />
            {i === 0 && draft.what !== "prompt" ? (
              <span className="grow muted">as it is now</span>
            ) : (
              <>
                {draft.what === "model" && <input size={10} aria-label={`Arm ${i + 1}: provider`} placeholder="provider" value={r.provider} onChange={(e) => change(i, { provider: e.target.value })} />}
                <input className="grow" aria-label={`Arm ${i + 1}: ${value.label}`} placeholder={value.example} value={r.value} onChange={(e) => change(i, { value: e.target.value })} />
              </>
            )}
            {!hasSteps(draft.kind) && (
              <span className="weight-box">
                weight
                <input type="number" min={0} step="any" aria-label={`Arm ${i + 1}: weight`} value={r.weight} onChange={(e) => change(i, { weight: e.target.value })} />
              </span>
            )}
            {!hasSteps(draft.kind) && (
              <button type="button" className="button small" aria-label={`Take arm ${i + 1} out`} disabled={rows.length <= 2} onClick={() => set({ arms: rows.filter((_, n) => n !== i) })}>
                ×
              </button>
            )}
          </li>
        ))}
      </ol>
      {!hasSteps(draft.kind) && (
        <button type="button" className="button small" onClick={() => set({ arms: [...rows, { name: "", provider: "", value: "", weight: "1" }] })}>
          Add an arm
        </button>
      )}
    </fieldset>
  );
}

function Metrics({ draft, set }: { draft: Draft; set: Set }) {
  const rows = draft.metrics;
  const change = (i: number, more: Partial<Draft["metrics"][number]>) => set({ metrics: rows.map((r, n) => (n === i ? { ...r, ...more } : r)) });
  return (
    <fieldset className="target-rows">
      <legend>What is watched, and the loss that matters</legend>
      <ol>
        {rows.map((r, i) => (
          <li key={i}>
            <input className="grow" list="release-metrics" aria-label={`Metric ${i + 1}: name`} value={r.name} onChange={(e) => change(i, { name: e.target.value })} />
            <select aria-label={`Metric ${i + 1}: direction`} value={r.direction} onChange={(e) => change(i, { direction: e.target.value })}>
              <option value="">usual direction</option>
              <option value="down">less is better</option>
              <option value="up">more is better</option>
            </select>
            <input size={8} aria-label={`Metric ${i + 1}: harm`} placeholder="usual" value={r.harm} onChange={(e) => change(i, { harm: e.target.value })} />
            <button type="button" className="button small" aria-label={`Take metric ${i + 1} out`} disabled={rows.length === 1} onClick={() => set({ metrics: rows.filter((_, n) => n !== i) })}>
              ×
            </button>
          </li>
        ))}
      </ol>
      <datalist id="release-metrics">
        {METRICS.map((m) => (
          <option key={m} value={m} />
        ))}
      </datalist>
      <button type="button" className="button small" onClick={() => set({ metrics: [...rows, { name: "", direction: "", harm: "" }] })}>
        Add a metric
      </button>
    </fieldset>
  );
}

export function ReleaseForm({ onDone }: { onDone: (release: Release) => void }) {
  const [search] = useSearch();
  const [draft, setDraft] = useState<Draft>({ ...FIRST, place: search.deployment ?? "", arms: FIRST.arms.map((a, i) => (i === 1 ? { ...a, value: search.model ?? "" } : a)) });
  const [wrong, setWrong] = useState("");
  const set: Set = (change) => setDraft({ ...draft, ...change });
  const place = PLACE[draft.what]!;
  const places = useGet<{ items: { name: string }[] }>(place.from, undefined, { staleTime: 30_000 });
  const start = useAct(
    (plan: object) => api.post<Release>("/releases", plan),
    (made) => {
      onDone(made);
      return `${made.name} has begun`;
    },
    { quiet: true },
  );
  const submit = () => {
    const plan = planOf(draft);
    setWrong(typeof plan === "string" ? plan : "");
    if (typeof plan !== "string") start.mutate(plan);
  };
  const chosen = (label: string, key: "kind" | "what" | "sticky", options: [string, string][]) => (
    <Field label={label}>
      {(id) => (
        <select id={id} value={draft[key]} onChange={(e) => set({ [key]: e.target.value })}>
          {options.map(([value, text]) => (
            <option key={value} value={value}>
              {text}
            </option>
          ))}
        </select>
      )}
    </Field>
  );
  return (
    <form
      onSubmit={(e) => {
        e.preventDefault();
        submit();
      }}
    >
      <div className="fields pairs-of-fields">
        <Field label="Name" hint="Letters, digits and . _ -">{(id) => <input id={id} required value={draft.name} onChange={(e) => set({ name: e.target.value })} />}</Field>
        {chosen("Kind", "kind", KINDS)}
        {chosen("What is released", "what", SUBJECTS)}
        <Field label={place.label}>
          {(id) => (
            <>
              <input id={id} required list={`${id}-list`} value={draft.place} onChange={(e) => set({ place: e.target.value })} />
              <datalist id={`${id}-list`}>
                {(places.data?.items ?? []).map((p) => (
                  <option key={p.name} value={p.name} />
                ))}
              </datalist>
            </>
          )}
        </Field>
      </div>
      <Arms draft={draft} set={set} />
      <Metrics draft={draft} set={set} />
      <div className="fields">
        {hasSteps(draft.kind) && <Field label={draft.kind === "shadow" ? "Copied (%)" : "Steps (%)"}>{(id) => <input id={id} value={draft.steps} onChange={(e) => set({ steps: e.target.value })} />}</Field>}
        <Field label="Wrong stops at most" hint="The chance of any wrong stop, however often it is looked at">
          {(id) => <input id={id} type="number" min={0.001} max={0.5} step="any" value={draft.alpha} onChange={(e) => set({ alpha: e.target.value })} />}
        </Field>
        {chosen("An arm is kept by", "sticky", [
          ["user", "user"],
          ["session", "session"],
          ["key", "key"],
          ["call", "single call"],
        ])}
      </div>
      {(wrong || start.error) && (
        <div className="note bad" role="alert">
          {wrong || `${start.error!.message} ${start.error!.hint}`}
        </div>
      )}
      <div className="actions">
        <button type="submit" className="button primary" disabled={start.isPending}>
          Begin the release
        </button>
      </div>
    </form>
  );
}
