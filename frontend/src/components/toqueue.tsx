/** Put traces into an annotation queue. */
import { useState } from "react";
import { api, path } from "../api/client.ts";
import type { ItemsAdded, Page, Queue } from "../api/types.ts";
import { full, plural } from "../lib/format.ts";
import { A } from "../lib/nav.tsx";
import { useAct, useGet } from "../lib/query.ts";
import { Dialog, Field } from "./bits.tsx";
import { Loading } from "./state.tsx";

interface Props {
  open: boolean;
  onClose: () => void;
  /** Chosen traces; undefined for everything that the query `asked` finds. */
  ids?: string[];
  asked?: () => string;
  done?: () => void;
}

/** So many of the traces that match are taken, the newest; the command line takes more. */
const MOST_QUEUED = 20_000;

export function ToQueue({ open, onClose, ids, asked, done }: Props) {
  return (
    <Dialog open={open} onClose={onClose} title="Add to an annotation queue">
      <Form ids={ids} asked={asked} onClose={onClose} done={done} />
    </Dialog>
  );
}

function Form({ ids, asked, onClose, done }: Omit<Props, "open">) {
  const queues = useGet<Page<Queue>>("/queues", undefined, { staleTime: 10_000 });
  const fitting = (queues.data?.items ?? []).filter((q) => q.kind === "trace" || (q.kind === "pair" && ids?.length === 2));
  const [picked, setPicked] = useState("");
  const name = picked || fitting[0]?.name || "";
  const pair = fitting.find((q) => q.name === name)?.kind === "pair";
  const add = useAct(
    () => api.post<ItemsAdded>(path`/queues/${name}/items`, pair ? { pairs: [ids] } : ids ? { trace_ids: ids } : { query: asked!(), limit: MOST_QUEUED }),
    (made) => {
      done?.();
      onClose();
      const left = [...(made.known ? [`${full(made.known)} there already`] : []), ...Object.entries(made.skipped).map(([why, n]) => `${full(n)} ${why}`)];
      return `${plural(made.added, "item")} added to ${name}${left.length ? `; left out: ${left.join(", ")}` : ""}`;
    },
    { quiet: true },
  );
  if (queues.isPending) return <Loading rows={3} />;
  if (!fitting.length && !queues.error)
    return (
      <>
        <p>There is no queue for traces yet.</p>
        <div className="actions">
          <A className="button primary" href="/annotation?new=1">
            Make a queue
          </A>
        </div>
      </>
    );
  return (
    <form
      onSubmit={(e) => {
        e.preventDefault();
        if (name) add.mutate(undefined);
      }}
    >
      <Field label="Queue" hint={pair ? "The two answers become one pair." : ids ? "Each item keeps the trace it came from." : `Each item keeps the trace it came from; the newest ${full(MOST_QUEUED)} traces at most.`}>
        {(id) => (
          <select id={id} autoFocus value={name} onChange={(e) => setPicked(e.target.value)}>
            {fitting.map((q) => (
              <option key={q.name} value={q.name}>
                {`${q.name} (${plural(q.progress.items, "item")})`}
              </option>
            ))}
          </select>
        )}
      </Field>
      {(queues.error || add.error) && (
        <div className="note bad" role="alert">
          {(queues.error ?? add.error)!.message} {(queues.error ?? add.error)!.hint}
        </div>
      )}
      <div className="actions">
        <button type="button" className="button" onClick={onClose}>
          Cancel
        </button>
        <button type="submit" className="button primary" disabled={!name || add.isPending}>
          {pair ? "Add the pair" : ids ? `Add ${plural(ids.length, "trace")}` : "Add all that match"}
        </button>
      </div>
    </form>
  );
}
