/** A policy's form: whom it is for, and its guards in order. */
import type { ApiError } from "../api/client.ts";
import type { GuardKind } from "../api/types.ts";
import { type GuardDraft, guardDraft, moved, type PolicyDraft } from "../lib/guards.ts";
import { Field } from "./bits.tsx";
import { Refused } from "./gateway.tsx";

const STAGES: Record<string, string> = { input: "request", output: "answer", both: "both" };
const usual = (value: string | undefined, names: Record<string, string> = {}) => `usual${value ? `: ${names[value] ?? value}` : ""}`;

interface GuardProps {
  guard: GuardDraft;
  at: number;
  last: boolean;
  kind: GuardKind | undefined;
  problem: string | undefined;
  onChange: (change: Partial<GuardDraft>) => void;
  onMove: (by: number) => void;
  onRemove: () => void;
}

function Guard({ guard, at, last, kind, problem, onChange, onMove, onRemove }: GuardProps) {
  const set = (key: keyof GuardDraft) => (e: { target: { value: string } }) => onChange({ [key]: e.target.value });
  const called = guard.name || guard.kind;
  const stages = kind?.stages.includes("both") ? ["input", "output", "both"] : (kind?.stages ?? []);
  const listed = (known: string[], value: string) => (value && !known.includes(value) ? [...known, value] : known);
  return (
    <li className={problem ? "guard bad" : "guard"} aria-label={`Guard ${called}`}>
      <div className="row">
        <span className="guard-at">{at + 1}</span>
        <b>{called}</b>
        {guard.name && <span className="muted">{guard.kind}</span>}
        <span className="row push">
          <button type="button" className="button small" disabled={at === 0} aria-label={`Move ${called} up`} onClick={() => onMove(-1)}>
            Up
          </button>
          <button type="button" className="button small" disabled={last} aria-label={`Move ${called} down`} onClick={() => onMove(1)}>
            Down
          </button>
          <button type="button" className="button small" aria-label={`Remove ${called}`} onClick={onRemove}>
            Remove
          </button>
        </span>
      </div>
      {kind?.error ? <p className="hint bad-ink">{kind.error}</p> : kind ? <p className="hint">{kind.options.replaceAll("`", "")}</p> : <p className="hint bad-ink">{`This server has no guard of the kind ${guard.kind}.`}</p>}
      <div className="fields four">
        <Field label="Does">
          {(id) => (
            <select id={id} value={guard.action} onChange={set("action")}>
              <option value="">{usual(kind?.actions[0])}</option>
              {listed(kind?.actions ?? [], guard.action).map((a) => (
                <option key={a}>{a}</option>
              ))}
            </select>
          )}
        </Field>
        <Field label="Looks at">
          {(id) => (
            <select id={id} value={guard.stage} onChange={set("stage")}>
              <option value="">{usual(kind?.stages[0], STAGES)}</option>
              {listed(stages, guard.stage).map((s) => (
                <option key={s} value={s}>
                  {STAGES[s] ?? s}
                </option>
              ))}
            </select>
          )}
        </Field>
        <Field label="When it fails">
          {(id) => (
            <select id={id} value={guard.on_error} onChange={set("on_error")}>
              <option value="closed">refuse the call</option>
              <option value="open">go on, flagged</option>
            </select>
          )}
        </Field>
        <Field label="Called">{(id) => <input id={id} placeholder={guard.kind} maxLength={60} value={guard.name} onChange={set("name")} />}</Field>
      </div>
      <Field label="Options (JSON)" hint={problem && <span className="bad-ink">{problem}</span>}>
        {(id) => <textarea id={id} className="mono" rows={Math.min(14, Math.max(2, guard.options.split("\n").length))} spellCheck={false} aria-invalid={!!problem} placeholder="{}" value={guard.options} onChange={set("options")} />}
      </Field>
    </li>
  );
}

interface FormProps {
  draft: PolicyDraft;
  kinds: GuardKind[];
  problems: Map<number, string>;
  error: ApiError | null;
  onChange: (draft: PolicyDraft) => void;
}

export function GuardForm({ draft, kinds, problems, error, onChange }: FormProps) {
  const set = (key: keyof PolicyDraft) => (e: { target: { value: string } }) => onChange({ ...draft, [key]: e.target.value });
  const guards = (list: GuardDraft[]) => onChange({ ...draft, guards: list });
  return (
    <>
      <div className="fields four">
        <Field label="For routes">{(id) => <input id={id} className="mono" required placeholder="*" value={draft.routes} onChange={set("routes")} />}</Field>
        <Field label="For keys">{(id) => <input id={id} className="mono" required placeholder="*" value={draft.keys} onChange={set("keys")} />}</Field>
        <Field label="Order">{(id) => <input id={id} type="number" step={1} required value={draft.order} onChange={set("order")} />}</Field>
        <Field label="Traces keep of finds">
          {(id) => (
            <select id={id} value={draft.record} onChange={set("record")}>
              <option value="nothing">nothing</option>
              <option value="hash">a keyed hash</option>
            </select>
          )}
        </Field>
      </div>
      <p className="hint below">Routes and keys are patterns (* and ?), with commas between them. Policies that hold for one call run from the lowest place to the highest, their guards from the top down.</p>
      <Field label="Description">{(id) => <input id={id} value={draft.description} onChange={set("description")} />}</Field>
      <ol className="guards" aria-label="Guards">
        {draft.guards.map((guard, at) => (
          <Guard
            key={guard.id}
            guard={guard}
            at={at}
            last={at === draft.guards.length - 1}
            kind={kinds.find((k) => k.kind === guard.kind)}
            problem={problems.get(guard.id)}
            onChange={(change) => guards(draft.guards.map((g) => (g.id === guard.id ? { ...g, ...change } : g)))}
            onMove={(by) => guards(moved(draft.guards, at, by))}
            onRemove={() => guards(draft.guards.filter((g) => g.id !== guard.id))}
          />
        ))}
      </ol>
      {draft.guards.length === 0 && <p className="muted">No guard yet; a policy has at least one.</p>}
      <select aria-label="Add a guard" value="" onChange={(e) => e.target.value && guards([...draft.guards, guardDraft(e.target.value)])}>
        <option value="">Add a guard…</option>
        {kinds.map((k) => (
          <option key={k.kind} value={k.kind} disabled={!!k.error}>
            {k.error ? `${k.kind} (not installed)` : k.kind}
          </option>
        ))}
      </select>
      <div className="spaced">
        <Refused error={error} />
      </div>
    </>
  );
}
