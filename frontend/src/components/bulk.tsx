/** What can be done with many traces at once: those that are ticked, or all that match. */
import { useState } from "react";
import { api, type Params } from "../api/client.ts";
import { plural } from "../lib/format.ts";
import { exportHref } from "../lib/gather.ts";
import { A } from "../lib/nav.tsx";
import { useAct } from "../lib/query.ts";
import { withWindow } from "../lib/traceql.ts";
import { Dialog } from "./bits.tsx";
import { Popover } from "./popover.tsx";
import { ToDataset } from "./todataset.tsx";
import { ToQueue } from "./toqueue.tsx";

const FORMATS: [string, string][] = [
  ["jsonl", "JSON lines"],
  ["parquet", "Parquet"],
  ["otlp", "OTLP, to be replayed"],
];

/** The query that finds exactly these traces. */
export const idsQuery = (ids: string[]) => `id:(${ids.join(" OR ")})`;

/** A query has an end; so many ids fit with room to spare. */
const MOST_LINKED = 100;

function Exports({ asked, label }: { asked: () => Params; label: string }) {
  return (
    <Popover button={label} small>
      {(close) => (
        <ul className="menu-list">
          {FORMATS.map(([format, name]) => (
            <li key={format}>
              <a className="menu-item" download href="#export" onClick={(e) => {
                // The window is taken at the press: a relative range must not be as old as the page.
                e.currentTarget.href = exportHref(format, asked());
                setTimeout(close);
              }}>
                {name}
              </a>
            </li>
          ))}
        </ul>
      )}
    </Popover>
  );
}

interface Erased {
  traces?: number;
  spans?: number;
  left?: number;
}

function Delete({ ids, open, onClose, done }: { ids: string[]; open: boolean; onClose: () => void; done: () => void }) {
  const erase = useAct(
    () => api.post<Erased>("/traces/erase", { trace_ids: ids, dry_run: false }),
    (erased) => {
      onClose();
      done();
      return erased.left ? `${plural(ids.length, "trace")} hidden; deleting, ${erased.left} left` : `${plural(ids.length, "trace")} deleted`;
    },
    { quiet: true },
  );
  return (
    <Dialog open={open} onClose={onClose} title={`Delete ${plural(ids.length, "trace")}?`}>
      <p>Their spans, bodies and search entries go, and they leave every sum. This cannot be undone.</p>
      {erase.error && (
        <div className="note bad" role="alert">
          {erase.error.message} {erase.error.hint}
        </div>
      )}
      <div className="actions">
        <button type="button" className="button" onClick={onClose}>
          Keep them
        </button>
        <button type="button" className="button danger" disabled={erase.isPending} onClick={() => erase.mutate(undefined)}>
          {`Delete ${plural(ids.length, "trace")}`}
        </button>
      </div>
    </Dialog>
  );
}

export function Bulk({ ids, clear }: { ids: string[]; clear: () => void }) {
  const [open, setOpen] = useState<"dataset" | "queue" | "delete" | null>(null);
  const close = () => setOpen(null);
  return (
    <div className="bulk" role="toolbar" aria-label="Selected traces">
      <b>{plural(ids.length, "trace")} selected</b>
      <button type="button" className="button small" onClick={() => setOpen("dataset")}>
        Add to dataset…
      </button>
      <button type="button" className="button small" onClick={() => setOpen("queue")}>
        Add to queue…
      </button>
      {ids.length <= MOST_LINKED ? <Exports asked={() => ({ query: idsQuery(ids) })} label="Export" /> : <span className="muted">Export takes up to {MOST_LINKED} at once</span>}
      {ids.length === 2 && (
        <A className="button small" href={`/traces/${ids[1]}/diff/${ids[0]}`}>
          Compare the two
        </A>
      )}
      <button type="button" className="button small danger" onClick={() => setOpen("delete")}>
        Delete…
      </button>
      <button type="button" className="button small push" onClick={clear}>
        Clear selection
      </button>
      <ToDataset open={open === "dataset"} onClose={close} ids={ids} done={clear} />
      <ToQueue open={open === "queue"} onClose={close} ids={ids} done={clear} />
      <Delete ids={ids} open={open === "delete"} onClose={close} done={clear} />
    </div>
  );
}

/** The same for everything that matches. */
export function Matching({ asked }: { asked: () => Params }) {
  const [open, setOpen] = useState<"dataset" | "queue" | null>(null);
  const close = () => setOpen(null);
  const query = () => {
    const { query, since, until } = asked() as Record<string, string | undefined>;
    return withWindow(query ?? "", { since, until });
  };
  return (
    <>
      <Exports asked={asked} label="Export all" />
      <button type="button" className="button small" onClick={() => setOpen("dataset")}>
        All to a dataset…
      </button>
      <button type="button" className="button small" onClick={() => setOpen("queue")}>
        All to a queue…
      </button>
      <ToDataset open={open === "dataset"} onClose={close} asked={asked} />
      <ToQueue open={open === "queue"} onClose={close} asked={query} />
    </>
  );
}
