/** Figures of rate limits: to show and to change. */
import { useState } from "react";
import { api, type ApiError } from "../api/client.ts";
import type { Limits } from "../api/types.ts";
import { count } from "../lib/format.ts";
import { useAct } from "../lib/query.ts";
import { Field } from "./bits.tsx";
import { Refused } from "./gateway.tsx";

const FIGURES: [key: keyof Limits, label: string, short: string][] = [
  ["requests_per_minute", "Requests a minute", "req/min"],
  ["input_tokens_per_minute", "Input tokens a minute", "in/min"],
  ["output_tokens_per_minute", "Output tokens a minute", "out/min"],
  ["concurrent", "Calls at once", "at once"],
];

export function limitsText(limits: Limits | undefined): string {
  if (!limits) return "none";
  return FIGURES.filter(([key]) => limits[key] !== null).map(([key, , short]) => `${count(limits[key])} ${short}`).join(", ") || "none";
}

export type FigureDraft = Record<string, string>;

/** What is sent: every figure, null where the box is empty. */
export function limitsOf(d: FigureDraft): Limits {
  return Object.fromEntries(FIGURES.map(([key]) => [key, d[key]?.trim() ? Number(d[key]) : null])) as unknown as Limits;
}

export function Figures({ values, onChange }: { values: FigureDraft; onChange: (values: FigureDraft) => void }) {
  return (
    <div className="fields">
      {FIGURES.map(([key, label]) => (
        <Field key={key} label={label}>
          {(id) => <input id={id} type="number" min={1} step={1} placeholder="no limit" value={values[key] ?? ""} onChange={(e) => onChange({ ...values, [key]: e.target.value })} />}
        </Field>
      ))}
    </div>
  );
}

/** Sets all figures of the subject behind `url` at once; empty boxes are no limit. */
export function LimitsForm({ url, limits, onDone }: { url: string; limits: Limits | undefined; onDone: () => void }) {
  const [d, setDraft] = useState<FigureDraft>(() => Object.fromEntries(FIGURES.map(([key]) => [key, limits?.[key] == null ? "" : String(limits[key])])));
  const save = useAct(
    () => api.put<Limits>(url, limitsOf(d)),
    () => {
      onDone();
      return "Limits saved; every process follows within a second";
    },
    { quiet: true },
  );
  return (
    <form
      onSubmit={(e) => {
        e.preventDefault();
        save.mutate(undefined);
      }}
    >
      <Figures values={d} onChange={setDraft} />
      <Refused error={save.error as ApiError | null} />
      <div className="actions">
        <button type="button" className="button" onClick={onDone}>
          Cancel
        </button>
        <button type="submit" className="button primary" disabled={save.isPending}>
          Save limits
        </button>
      </div>
    </form>
  );
}
