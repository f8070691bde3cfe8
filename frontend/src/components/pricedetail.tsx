/** One price in full, and the form for a price of the project's own. */
import { useState } from "react";
import { api, type ApiError } from "../api/client.ts";
import type { ListedPrice, OwnPrice, PriceFields } from "../api/types.ts";
import { useAct } from "../lib/query.ts";
import { bodyOf, CLASSES, draftOf, rate, type PriceDraft } from "../lib/prices.ts";
import { count } from "../lib/format.ts";
import { Facts, Field } from "./bits.tsx";
import { Refused } from "./gateway.tsx";

export function Classes({ price }: { price: PriceFields }) {
  return (
    <>
      <Facts items={CLASSES.map(([key, label]) => [label, price[key] == null ? null : key === "batch" ? `${price[key]} of the price` : rate(price[key])])} />
      {price.tiers.map((tier) => (
        <div key={tier.above} className="tier">
          <h3>Calls that read more than {count(tier.above)} tokens</h3>
          <Facts items={CLASSES.map(([key, label]) => [label, key in tier && tier[key as keyof typeof tier] != null ? rate(tier[key as keyof typeof tier]) : null])} />
        </div>
      ))}
    </>
  );
}

export function Sources({ price }: { price: ListedPrice }) {
  return (
    <>
      {price.note && <p>{price.note}</p>}
      <p className="muted">Last seen published on {price.as_of}:</p>
      <ul>
        {price.sources.map((source) => (
          <li key={source} className="ellipsis">
            {/^https:\/\//.test(source) ? (
              <a href={source} target="_blank" rel="noreferrer">
                {source}
              </a>
            ) : (
              source
            )}
          </li>
        ))}
      </ul>
    </>
  );
}

function wrongTiers(text: string): string {
  if (!text.trim()) return "";
  try {
    return Array.isArray(JSON.parse(text)) ? "" : "Tiers are a list: [ { … } ]";
  } catch (problem) {
    return (problem as Error).message;
  }
}

export function PriceForm({ from, own, onDone }: { from: (PriceFields & { model: string; provider: string }) | undefined; own: OwnPrice | undefined; onDone: () => void }) {
  const [d, setDraft] = useState<PriceDraft>(() => draftOf(from));
  const wrong = wrongTiers(d.tiers);
  const save = useAct(
    () => api.put("/prices", bodyOf(d)),
    () => {
      onDone();
      return "Price set; later calls are priced by it";
    },
    { quiet: true },
  );
  return (
    <form
      onSubmit={(e) => {
        e.preventDefault();
        if (!wrong) save.mutate(undefined);
      }}
    >
      <div className="fields">
        <Field label="Model" hint="A name, or a pattern with * and ?">
          {(id) => <input id={id} required autoFocus={!from} className="mono" disabled={!!own} value={d.model} onChange={(e) => setDraft({ ...d, model: e.target.value })} />}
        </Field>
        <Field label="Provider" hint="Empty: any">
          {(id) => <input id={id} disabled={!!own} value={d.provider} onChange={(e) => setDraft({ ...d, provider: e.target.value })} />}
        </Field>
      </div>
      <p className="muted">US dollars per million tokens; empty boxes cost what docs/prices.md says for the class.</p>
      <div className="fields">
        {CLASSES.map(([key, label]) => (
          <Field key={key} label={label}>
            {(id) => <input id={id} type="number" min={0} max={key === "batch" ? 1 : undefined} step="any" required={key === "input"} value={d.classes[key] ?? ""} onChange={(e) => setDraft({ ...d, classes: { ...d.classes, [key]: e.target.value } })} />}
          </Field>
        ))}
      </div>
      <Field label="Tiers (JSON)" hint={wrong ? <span className="bad-ink">{wrong}</span> : '[{"above": 200000, "input": 6, "output": 22.5}]'}>
        {(id) => <textarea id={id} className="mono" rows={3} spellCheck={false} aria-invalid={!!wrong} value={d.tiers} onChange={(e) => setDraft({ ...d, tiers: e.target.value })} />}
      </Field>
      <Refused error={save.error as ApiError | null} />
      <div className="actions">
        <button type="button" className="button" onClick={onDone}>
          Cancel
        </button>
        <button type="submit" className="button primary" disabled={save.isPending || !!wrong}>
          Set price
        </button>
      </div>
    </form>
  );
}
