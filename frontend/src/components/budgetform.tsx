/** A budget: how much, for whom, in which period, and what happens at its end. */
import { useState } from "react";
import { api, path, type ApiError } from "../api/client.ts";
import type { Budget, GatewayRoute, Key, Page } from "../api/types.ts";
import { useAct, useGet } from "../lib/query.ts";
import { Field } from "./bits.tsx";
import { Refused } from "./gateway.tsx";

export const KINDS = ["project", "key", "user", "route", "tenant"];
export const PERIODS: [string, string][] = [["day", "a day (UTC)"], ["month", "a month (UTC)"], ["total", "once, in total"]];

/** Whose it is: a key, route, user or project by name, or `*` for each of them. */
export function SubjectFields({ kind, subject, disabled, onChange }: { kind: string; subject: string; disabled?: boolean; onChange: (change: { kind?: string; subject?: string }) => void }) {
  const keys = useGet<Page<Key>>("/keys", undefined, { enabled: kind === "key" });
  const routes = useGet<Page<GatewayRoute>>("/routes", undefined, { enabled: kind === "route" });
  const choices: [string, string][] = kind === "key" ? (keys.data?.items ?? []).filter((k) => !k.revoked_at).map((k) => [k.id, k.name]) : (routes.data?.items ?? []).map((r) => [r.name, r.name]);
  return (
    <>
      <Field label="For">
        {(id) => (
          <select id={id} disabled={disabled} value={kind} onChange={(e) => onChange({ kind: e.target.value, subject: "" })}>
            {KINDS.map((k) => (
              <option key={k}>{k}</option>
            ))}
          </select>
        )}
      </Field>
      {(kind === "key" || kind === "route") && (
        <Field label="Which">
          {(id) => (
            <select id={id} required disabled={disabled} value={subject} onChange={(e) => onChange({ subject: e.target.value })}>
              <option value="">Choose…</option>
              <option value="*">each of them</option>
              {[...choices, ...(subject && subject !== "*" && !choices.some(([value]) => value === subject) ? [[subject, subject] as [string, string]] : [])].map(([value, label]) => (
                <option key={value} value={value}>
                  {label}
                </option>
              ))}
            </select>
          )}
        </Field>
      )}
      {(kind === "user" || kind === "project") && (
        <Field label="Which" hint={kind === "user" ? "A name, or * for each" : "Empty: this one; * for each"}>
          {(id) => <input id={id} required={kind === "user"} disabled={disabled} value={subject} onChange={(e) => onChange({ subject: e.target.value })} />}
        </Field>
      )}
    </>
  );
}

export function BudgetForm({ budget, onDone }: { budget: Budget | undefined; onDone: () => void }) {
  const [d, setDraft] = useState({
    name: budget?.name ?? "",
    usd: budget ? String(budget.usd) : "",
    period: budget?.period ?? "month",
    kind: budget?.kind ?? "project",
    subject: budget?.subject ?? "",
    soft: (budget?.soft ?? [0.8]).map((part) => String(Math.round(part * 1000) / 10)).join(", "),
    hard: budget?.hard ?? true,
  });
  const save = useAct(
    () =>
      api.put(path`/budgets/${d.name.trim()}`, {
        usd: Number(d.usd), period: d.period, kind: d.kind, subject: d.subject, hard: d.hard,
        soft: d.soft.split(",").filter((part) => part.trim()).map((part) => Number(part) / 100),
      }),
    () => {
      onDone();
      return "Budget saved";
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
      <div className="fields">
        <Field label="Name">{(id) => <input id={id} required autoFocus={!budget} disabled={!!budget} pattern="[a-z0-9][a-z0-9_\-]*" title="Lower-case letters, digits, - and _" value={d.name} onChange={(e) => setDraft({ ...d, name: e.target.value })} />}</Field>
        <Field label="US dollars">{(id) => <input id={id} type="number" min={0} step="any" required value={d.usd} onChange={(e) => setDraft({ ...d, usd: e.target.value })} />}</Field>
        <Field label="Per">
          {(id) => (
            <select id={id} value={d.period} onChange={(e) => setDraft({ ...d, period: e.target.value })}>
              {PERIODS.map(([value, label]) => (
                <option key={value} value={value}>
                  {label}
                </option>
              ))}
            </select>
          )}
        </Field>
        <SubjectFields kind={d.kind} subject={d.subject} disabled={!!budget} onChange={(change) => setDraft({ ...d, ...change })} />
        <Field label="Alerts at (%)">{(id) => <input id={id} value={d.soft} pattern="[0-9., ]*" title="Numbers with commas, such as 50, 80" onChange={(e) => setDraft({ ...d, soft: e.target.value })} />}</Field>
      </div>
      <label className="row check">
        <input type="checkbox" checked={d.hard} onChange={(e) => setDraft({ ...d, hard: e.target.checked })} /> Refuse calls when it is spent
      </label>
      <Refused error={save.error as ApiError | null} />
      <div className="actions">
        <button type="button" className="button" onClick={onDone}>
          Cancel
        </button>
        <button type="submit" className="button primary" disabled={save.isPending}>
          Save budget
        </button>
      </div>
    </form>
  );
}
