/** What a search may change, and what it looks for. */
import type { Objective } from "../../api/types.ts";
import type { SpaceRow } from "../../lib/recipe.ts";

export const SAMPLERS: [string, string][] = [
  ["tpe", "TPE: goes where it was good"],
  ["random", "Random"],
  ["grid", "Grid: every combination"],
  ["gp", "Gaussian process"],
  ["cmaes", "CMA-ES"],
  ["nsga2", "NSGA-II: several objectives"],
  ["qmc", "Quasi-random"],
];
export const PRUNERS: [string, string][] = [
  ["none", "None: every trial to its end"],
  ["median", "Median: worse than half"],
  ["asha", "Successive halving (ASHA)"],
  ["hyperband", "Hyperband"],
];

export const FIRST_SPACE: SpaceRow[] = [
  { name: "learning_rate", type: "float", low: "1e-5", high: "1e-3", log: true, choices: "" },
  { name: "adapter.rank", type: "choice", low: "", high: "", log: false, choices: "4, 8, 16, 32" },
];

export function SpaceForm({ rows, onRows }: { rows: SpaceRow[]; onRows: (rows: SpaceRow[]) => void }) {
  const set = (i: number, change: Partial<SpaceRow>) => onRows(rows.map((r, n) => (n === i ? { ...r, ...change } : r)));
  return (
    <fieldset className="target-rows">
      <legend>Parameters</legend>
      <ol>
        {rows.map((r, i) => (
          <li key={i}>
            <input className="grow" aria-label={`Parameter ${i + 1}: name`} placeholder="learning_rate" value={r.name} onChange={(e) => set(i, { name: e.target.value })} />
            <select aria-label={`Parameter ${i + 1}: type`} value={r.type} onChange={(e) => set(i, { type: e.target.value as SpaceRow["type"] })}>
              <option value="float">number</option>
              <option value="int">whole number</option>
              <option value="choice">one of</option>
            </select>
            {r.type === "choice" ? (
              <input className="grow" aria-label={`Parameter ${i + 1}: choices`} placeholder="linear, cosine" value={r.choices} onChange={(e) => set(i, { choices: e.target.value })} />
            ) : (
              <>
                <input size={7} aria-label={`Parameter ${i + 1}: from`} placeholder="from" value={r.low} onChange={(e) => set(i, { low: e.target.value })} />
                <input size={7} aria-label={`Parameter ${i + 1}: to`} placeholder="to" value={r.high} onChange={(e) => set(i, { high: e.target.value })} />
                <label className="row small">
                  <input type="checkbox" checked={r.log} onChange={(e) => set(i, { log: e.target.checked })} />
                  by ratio
                </label>
              </>
            )}
            <button type="button" className="button small" aria-label={`Take parameter ${i + 1} out`} disabled={rows.length === 1} onClick={() => onRows(rows.filter((_, n) => n !== i))}>
              ×
            </button>
          </li>
        ))}
      </ol>
      <button type="button" className="button small" onClick={() => onRows([...rows, { name: "", type: "float", low: "", high: "", log: false, choices: "" }])}>
        Add a parameter
      </button>
    </fieldset>
  );
}

export function ObjectivesForm({ rows, onRows }: { rows: Objective[]; onRows: (rows: Objective[]) => void }) {
  const set = (i: number, change: Partial<Objective>) => onRows(rows.map((r, n) => (n === i ? { ...r, ...change } : r)));
  return (
    <fieldset className="target-rows">
      <legend>Objectives</legend>
      <ol>
        {rows.map((r, i) => (
          <li key={i}>
            <select aria-label={`Objective ${i + 1}: direction`} value={r.direction} onChange={(e) => set(i, { direction: e.target.value as Objective["direction"] })}>
              <option value="maximize">most</option>
              <option value="minimize">least</option>
            </select>
            <input className="grow" aria-label={`Objective ${i + 1}: metric`} placeholder="loss, seconds, eval.exact_match" value={r.metric} onChange={(e) => set(i, { metric: e.target.value })} />
            <button type="button" className="button small" aria-label={`Take objective ${i + 1} out`} disabled={rows.length === 1} onClick={() => onRows(rows.filter((_, n) => n !== i))}>
              ×
            </button>
          </li>
        ))}
      </ol>
      <button type="button" className="button small" onClick={() => onRows([...rows, { metric: "", direction: "minimize" }])}>
        Add an objective
      </button>
    </fieldset>
  );
}
