/** Everything a route can be, in one form; what is rarely wanted is folded away. */
import { useState } from "react";
import { api, path, type ApiError } from "../api/client.ts";
import type { GatewayRoute } from "../api/types.ts";
import { useGo } from "../lib/nav.tsx";
import { useAct } from "../lib/query.ts";
import { BREAKER, draftOf, emptyTarget, NUMBERS, planOf, type RouteDraft, STRATEGIES } from "../lib/routing.ts";
import { Card, Field } from "./bits.tsx";
import { Refused } from "./gateway.tsx";
import { type Choices, Options, TargetRows, useChoices } from "./targetform.tsx";

type Set = (change: Partial<RouteDraft>) => void;

function Numbers({ items, values, onChange }: { items: readonly (readonly [string, string, number | null])[]; values: Record<string, string>; onChange: (values: Record<string, string>) => void }) {
  return (
    <div className="fields">
      {items.map(([key, label, empty]) => (
        <Field key={key} label={label}>
          {(id) => <input id={id} type="number" min={0} step="any" placeholder={empty === null ? "none" : String(empty)} value={values[key] ?? ""} onChange={(e) => onChange({ ...values, [key]: e.target.value })} />}
        </Field>
      ))}
    </div>
  );
}

function Arms({ draft, set, choices }: { draft: RouteDraft; set: Set; choices: Choices }) {
  const change = (at: number, part: Partial<RouteDraft["arms"][number]>) => set({ arms: draft.arms.map((a, i) => (i === at ? { ...a, ...part } : a)) });
  return (
    <>
      {draft.arms.map((arm, i) => (
        <div key={i} className="arm">
          <div className="fields">
            <Field label={`Arm ${i + 1}`}>{(id) => <input id={id} required value={arm.name} onChange={(e) => change(i, { name: e.target.value })} />}</Field>
            <Field label="Weight">{(id) => <input id={id} type="number" min={0} step="any" required value={arm.weight} onChange={(e) => change(i, { weight: e.target.value })} />}</Field>
            {draft.arms.length > 2 && (
              <div className="actions">
                <button type="button" className="button small" onClick={() => set({ arms: draft.arms.filter((_, n) => n !== i) })}>
                  Remove arm {i + 1}
                </button>
              </div>
            )}
          </div>
          <TargetRows label={`Target of arm ${i + 1}`} list={arm.targets} choices={choices} onChange={(targets) => change(i, { targets })} />
        </div>
      ))}
      <button type="button" className="button small" onClick={() => set({ arms: [...draft.arms, { name: "", weight: "1", targets: [emptyTarget()] }] })}>
        Add an arm
      </button>
    </>
  );
}

function Copies({ draft, set, choices }: { draft: RouteDraft; set: Set; choices: Choices }) {
  const value = (key: string) => draft.shadow[key] ?? "";
  const change = (key: string) => (e: { target: { value: string } }) => set({ shadow: { ...draft.shadow, [key]: e.target.value } });
  return (
    <div className="fields">
      <Field label="Provider">
        {(id) => (
          <select id={id} required value={value("provider")} onChange={change("provider")}>
            <Options names={choices.providers} value={value("provider")} />
          </select>
        )}
      </Field>
      <Field label="Its model">{(id) => <input id={id} required className="mono" value={value("model")} onChange={change("model")} />}</Field>
      <Field label="Part of the calls">{(id) => <input id={id} type="number" min={0} max={1} step="any" placeholder="1" value={value("share")} onChange={change("share")} />}</Field>
      <Field label="Copies at once">{(id) => <input id={id} type="number" min={1} placeholder="10" value={value("max_in_flight")} onChange={change("max_in_flight")} />}</Field>
      <Field label="US dollars a day">{(id) => <input id={id} type="number" min={0} step="any" placeholder="no limit" value={value("usd_per_day")} onChange={change("usd_per_day")} />}</Field>
      <Check label="Copies count on the budgets of the caller's key" on={value("bill_key") === "yes"} onChange={(on) => set({ shadow: { ...draft.shadow, bill_key: on ? "yes" : "" } })} />
    </div>
  );
}

function Check({ label, on, onChange }: { label: string; on: boolean; onChange: (on: boolean) => void }) {
  return (
    <label className="row check">
      <input type="checkbox" checked={on} onChange={(e) => onChange(e.target.checked)} /> {label}
    </label>
  );
}

export function RouteForm({ route, back }: { route: GatewayRoute | undefined; back: string }) {
  const go = useGo();
  const [draft, setDraft] = useState(() => draftOf(route));
  const set: Set = (change) => setDraft({ ...draft, ...change });
  const choices = useChoices(draft.name);
  const save = useAct(
    () => api.put<GatewayRoute>(path`/routes/${draft.name.trim()}`, planOf(draft)),
    (made) => {
      go(`/gateway/route?name=${encodeURIComponent(made.name ?? draft.name.trim())}`, { replace: !!route });
      return "Route saved; every process follows within a second";
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
      <Card title="Route">
        <div className="fields">
          <Field label="Model name" hint={route ? undefined : "What your programs send as the model"}>
            {(id) => <input id={id} required autoFocus={!route} disabled={!!route} value={draft.name} onChange={(e) => set({ name: e.target.value })} />}
          </Field>
          <Field label="Strategy" hint={STRATEGIES.find(([s]) => s === draft.strategy)?.[1]}>
            {(id) => (
              <select id={id} value={draft.strategy} onChange={(e) => set({ strategy: e.target.value })}>
                {STRATEGIES.map(([s]) => (
                  <option key={s}>{s}</option>
                ))}
              </select>
            )}
          </Field>
          {(draft.strategy === "sticky" || draft.split) && (
            <Field label="Stays by" hint="Who stays where they are">
              {(id) => (
                <select id={id} value={draft.sticky_by} onChange={(e) => set({ sticky_by: e.target.value })}>
                  {["user", "session", "key"].map((by) => (
                    <option key={by}>{by}</option>
                  ))}
                </select>
              )}
            </Field>
          )}
        </div>
        <Check label="A/B test: each caller belongs to one arm" on={draft.split} onChange={(split) => set({ split })} />
        {draft.split ? <Arms draft={draft} set={set} choices={choices} /> : <TargetRows label="Target" list={draft.targets} choices={choices} onChange={(targets) => set({ targets })} />}
      </Card>
      <Card>
        <details className="fold" open={Object.values(draft.numbers).some(Boolean) || undefined}>
          <summary>Retries, timeouts, limits and hedges</summary>
          <Numbers items={NUMBERS} values={draft.numbers} onChange={(numbers) => set({ numbers })} />
        </details>
        <details className="fold" open={Object.values(draft.breaker).some(Boolean) || undefined}>
          <summary>Breaker: when a target gets no calls for a while</summary>
          <Numbers items={BREAKER} values={draft.breaker} onChange={(breaker) => set({ breaker })} />
        </details>
        <details className="fold" open={draft.copies || undefined}>
          <summary>Copies: another model answers too, for the traces only</summary>
          <Check label="Send copies" on={draft.copies} onChange={(copies) => set({ copies })} />
          {draft.copies && <Copies draft={draft} set={set} choices={choices} />}
        </details>
      </Card>
      <Refused error={save.error as ApiError | null} />
      <div className="actions">
        <button type="submit" className="button primary" disabled={save.isPending}>
          Save route
        </button>
        <button type="button" className="button" onClick={() => go(back)}>
          Cancel
        </button>
      </div>
    </form>
  );
}
