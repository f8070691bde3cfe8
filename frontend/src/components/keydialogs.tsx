/** Making a key and giving one a new secret: both show a secret once. */
import { useState } from "react";
import { api, path, type ApiError } from "../api/client.ts";
import type { Key, NewKey } from "../api/types.ts";
import { useAct } from "../lib/query.ts";
import { Code, Dialog, Field } from "./bits.tsx";
import { Refused } from "./gateway.tsx";
import { type FigureDraft, Figures, limitsOf } from "./limitsform.tsx";

export function Once({ made, onDone }: { made: NewKey; onDone: () => void }) {
  return (
    <>
      <p>It is shown only this once; Penstock keeps a digest.</p>
      <Code text={made.key} label="New key" />
      <div className="actions">
        <button type="button" className="button primary" onClick={onDone}>
          Done
        </button>
      </div>
    </>
  );
}

const start = { name: "", role: "gateway", days: "", models: "", any: false, limits: {} as FigureDraft };

/** The key, and its limits before its secret is shown: nobody holds an unlimited key in between. */
async function create(d: typeof start): Promise<NewKey> {
  const made = await api.post<NewKey>("/keys", { name: d.name, role: d.role, any_project: d.any, models: d.models.split(/[\s,]+/).filter(Boolean), expires_in_days: d.days ? Number(d.days) : null });
  const limits = limitsOf(d.limits);
  if (Object.values(limits).every((n) => n === null)) return made;
  try {
    await api.put(path`/keys/${made.id}/limits`, limits);
  } catch (refused) {
    await api.del(path`/keys/${made.id}`);
    throw refused;
  }
  return made;
}

export function CreateKey({ open, onClose }: { open: boolean; onClose: () => void }) {
  const [d, setDraft] = useState(start);
  const [made, setMade] = useState<NewKey | null>(null);
  const make = useAct(() => create(d), (k) => setMade(k), { quiet: true });
  const close = () => {
    setMade(null);
    setDraft(start);
    make.reset();
    onClose();
  };
  return (
    <Dialog open={open} onClose={close} title={made ? "Copy the key now" : "New API key"}>
      {made ? (
        <Once made={made} onDone={close} />
      ) : (
        <form
          onSubmit={(e) => {
            e.preventDefault();
            make.mutate(undefined);
          }}
        >
          <Field label="Name" hint="What or who will use it">
            {(id) => <input id={id} required autoFocus value={d.name} onChange={(e) => setDraft({ ...d, name: e.target.value })} />}
          </Field>
          <div className="fields">
            <Field label="Role">
              {(id) => (
                <select id={id} value={d.role} onChange={(e) => setDraft({ ...d, role: e.target.value })}>
                  {["gateway", "viewer", "member", "admin", "owner"].map((r) => (
                    <option key={r}>{r}</option>
                  ))}
                </select>
              )}
            </Field>
            <Field label="Ends after (days)">{(id) => <input id={id} type="number" min={1} step={1} placeholder="never" value={d.days} onChange={(e) => setDraft({ ...d, days: e.target.value })} />}</Field>
          </div>
          <p className="hint">The role gateway may only call models and send traces.</p>
          <Field label="Models" hint="Names of routes, or provider/model; * stands for anything. Empty: all">
            {(id) => <input id={id} placeholder="all" value={d.models} onChange={(e) => setDraft({ ...d, models: e.target.value })} />}
          </Field>
          <details className="fold">
            <summary>Limits</summary>
            <Figures values={d.limits} onChange={(limits) => setDraft({ ...d, limits })} />
          </details>
          <label className="row check">
            <input type="checkbox" checked={d.any} onChange={(e) => setDraft({ ...d, any: e.target.checked })} /> For every project
          </label>
          <Refused error={make.error as ApiError | null} />
          <div className="actions">
            <button type="submit" className="button primary" disabled={make.isPending}>
              Create key
            </button>
          </div>
        </form>
      )}
    </Dialog>
  );
}

const GRACE: [seconds: string, label: string][] = [["0", "at once"], ["3600", "after an hour"], ["86400", "after a day"], ["604800", "after a week"]];

export function RotateKey({ target, onClose }: { target: Key | undefined; onClose: () => void }) {
  const [grace, setGrace] = useState("86400");
  const [made, setMade] = useState<NewKey | null>(null);
  const rotate = useAct(
    () => api.post<NewKey>(path`/keys/${target?.id ?? ""}/rotate`, { grace_seconds: Number(grace) }),
    (k) => setMade(k),
    { quiet: true },
  );
  const close = () => {
    setMade(null);
    rotate.reset();
    onClose();
  };
  return (
    <Dialog open={!!target} onClose={close} title={made ? "Copy the key now" : `A new secret for ${target?.name ?? ""}`}>
      {made ? (
        <Once made={made} onDone={close} />
      ) : (
        <form
          onSubmit={(e) => {
            e.preventDefault();
            rotate.mutate(undefined);
          }}
        >
          <p>The key keeps its name, limits, budgets and history.</p>
          <Field label="The old secret stops working">
            {(id) => (
              <select id={id} value={grace} onChange={(e) => setGrace(e.target.value)}>
                {GRACE.map(([seconds, label]) => (
                  <option key={seconds} value={seconds}>
                    {label}
                  </option>
                ))}
              </select>
            )}
          </Field>
          <Refused error={rotate.error as ApiError | null} />
          <div className="actions">
            <button type="submit" className="button primary" disabled={rotate.isPending}>
              Rotate key
            </button>
          </div>
        </form>
      )}
    </Dialog>
  );
}
