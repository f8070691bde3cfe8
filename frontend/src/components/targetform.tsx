/** The rows of a form that say where calls go: a provider's model or another route, with a weight, in an order. */
import type { Deployment, GatewayRoute, Page, Provider } from "../api/types.ts";
import { useGet } from "../lib/query.ts";
import { emptyTarget, moved, type TargetDraft } from "../lib/routing.ts";

/** Names to choose from; `local` is always there. */
export function useChoices(self: string) {
  const providers = useGet<Page<Provider>>("/providers");
  const routes = useGet<Page<GatewayRoute>>("/routes");
  const deployments = useGet<Page<Deployment>>("/deployments");
  return {
    providers: [...new Set([...(providers.data?.items ?? []).map((p) => p.name), "local"])],
    routes: (routes.data?.items ?? []).map((r) => r.name).filter((name) => name !== self),
    deployments: (deployments.data?.items ?? []).map((d) => d.name),
  };
}
export type Choices = ReturnType<typeof useChoices>;

export function Options({ names, value }: { names: string[]; value: string }) {
  return (
    <>
      <option value="">Choose…</option>
      {[...new Set([...names, ...(value ? [value] : [])])].map((name) => (
        <option key={name}>{name}</option>
      ))}
    </>
  );
}

export function TargetRows({ label, list, choices, onChange }: { label: string; list: TargetDraft[]; choices: Choices; onChange: (list: TargetDraft[]) => void }) {
  const set = (at: number, change: Partial<TargetDraft>) => onChange(list.map((t, i) => (i === at ? { ...t, ...change } : t)));
  return (
    <fieldset className="target-rows">
      <legend>{label}</legend>
      <datalist id="deployments">
        {choices.deployments.map((name) => (
          <option key={name} value={name} />
        ))}
      </datalist>
      <ol>
        {list.map((t, i) => {
          const name = `${label} ${i + 1}`;
          return (
            <li key={i}>
              <select aria-label={`${name}: kind`} value={t.kind} onChange={(e) => set(i, { kind: e.target.value as TargetDraft["kind"] })}>
                <option value="model">Model</option>
                <option value="route">Route</option>
              </select>
              {t.kind === "route" ? (
                <select className="grow" aria-label={`${name}: route`} required value={t.route} onChange={(e) => set(i, { route: e.target.value })}>
                  <Options names={choices.routes} value={t.route} />
                </select>
              ) : (
                <>
                  <select aria-label={`${name}: provider`} required value={t.provider} onChange={(e) => set(i, { provider: e.target.value })}>
                    <Options names={choices.providers} value={t.provider} />
                  </select>
                  <input className="grow mono" aria-label={`${name}: model`} required placeholder="its model" list={t.provider === "local" ? "deployments" : undefined} value={t.model} onChange={(e) => set(i, { model: e.target.value })} />
                </>
              )}
              <label className="weight-box">
                weight
                <input type="number" min={0} step="any" aria-label={`${name}: weight`} value={t.weight} onChange={(e) => set(i, { weight: e.target.value })} />
              </label>
              <button type="button" className="button small" aria-label={`Move ${name} up`} disabled={i === 0} onClick={() => onChange(moved(list, i, -1))}>
                Up
              </button>
              <button type="button" className="button small" aria-label={`Move ${name} down`} disabled={i === list.length - 1} onClick={() => onChange(moved(list, i, 1))}>
                Down
              </button>
              <button type="button" className="button small" aria-label={`Remove ${name}`} disabled={list.length === 1} onClick={() => onChange(list.filter((_, n) => n !== i))}>
                Remove
              </button>
            </li>
          );
        })}
      </ol>
      <button type="button" className="button small" onClick={() => onChange([...list, emptyTarget()])}>
        Add a target
      </button>
    </fieldset>
  );
}
