/** Which parameters, metrics and tags stand in the table and on the axes. */
import { useState } from "react";
import type { RunKey, RunKeys } from "../../api/types.ts";
import { full } from "../../lib/format.ts";
import { type ColumnKey, usualColumns } from "../../lib/tracking.ts";
import { Popover } from "../popover.tsx";

const GROUPS: [keyof RunKeys, string, string][] = [
  ["metrics", "m", "Metrics"],
  ["params", "p", "Parameters"],
  ["tags", "t", "Tags"],
];
const MANY = 12;

export function ColumnMenu({ keys, chosen, onChosen }: { keys: RunKeys; chosen: ColumnKey[]; onChosen: (columns: ColumnKey[] | undefined) => void }) {
  const [text, setText] = useState("");
  const wanted = (k: RunKey) => k.key.toLowerCase().includes(text.toLowerCase());
  const toggle = (column: ColumnKey) => onChosen(chosen.includes(column) ? chosen.filter((c) => c !== column) : [...chosen, column]);
  const total = GROUPS.reduce((n, [group]) => n + keys[group].length, 0);
  return (
    <Popover label="Columns" button={`Columns (${chosen.length})`} wide end>
      {() => (
        <div className="column-menu">
          {total > MANY && <input type="search" aria-label="Search columns" placeholder="A part of the name" value={text} onChange={(e) => setText(e.target.value)} />}
          {GROUPS.map(([group, letter, title]) => {
            const shown = keys[group].filter((k) => wanted(k) && (group !== "tags" || !k.key.startsWith("mlflow.")));
            return shown.length ? (
              <fieldset key={group}>
                <legend>{title}</legend>
                {shown.map((k) => (
                  <label key={k.key} className="row">
                    <input type="checkbox" checked={chosen.includes(`${letter}:${k.key}`)} onChange={() => toggle(`${letter}:${k.key}`)} />
                    <span className="grow ellipsis" title={k.key}>
                      {k.key}
                    </span>
                    <span className="muted small">{group === "params" && k.values === 1 ? "the same everywhere" : `in ${full(k.runs)}`}</span>
                  </label>
                ))}
              </fieldset>
            ) : null;
          })}
          {total === 0 && <p className="muted">The runs have no metrics, parameters or tags yet.</p>}
          <button type="button" className="button small" disabled={chosen.join() === usualColumns(keys).join()} onClick={() => onChosen(undefined)}>
            The usual ones
          </button>
        </div>
      )}
    </Popover>
  );
}
