/** Put recorded calls into a dataset: of chosen traces, or of everything that matches. */
import { useState } from "react";
import type { Params } from "../api/client.ts";
import type { Dataset, Page } from "../api/types.ts";
import { full, plural } from "../lib/format.ts";
import { collect, MOST_COLLECTED } from "../lib/gather.ts";
import { useGo } from "../lib/nav.tsx";
import { useAct, useGet } from "../lib/query.ts";
import { Dialog, Field } from "./bits.tsx";

interface Props {
  open: boolean;
  onClose: () => void;
  /** Chosen traces; undefined for everything that `asked` matches. */
  ids?: string[];
  asked?: () => Params;
  done?: () => void;
}

export function ToDataset({ open, onClose, ids, asked, done }: Props) {
  return (
    <Dialog open={open} onClose={onClose} title="Add to a dataset">
      <Form ids={ids} asked={asked} onClose={onClose} done={done} />
    </Dialog>
  );
}

function Form({ ids, asked, onClose, done }: Omit<Props, "open">) {
  const datasets = useGet<Page<Dataset>>("/datasets", undefined, { staleTime: 10_000 });
  const go = useGo();
  const [name, setName] = useState("");
  const [each, setEach] = useState<"last" | "all">("last");
  const known = (datasets.data?.items ?? []).find((d) => d.name === name.trim());
  const add = useAct(
    () => collect(name.trim(), each, ids ? { ids } : { asked: asked!() }),
    (made) => {
      done?.();
      onClose();
      go(`/datasets/${encodeURIComponent(made.dataset)}`);
      const left = Object.entries(made.skipped).map(([why, n]) => `${full(n)} ${why}`);
      return `${plural(made.added, "row")} of ${plural(made.traces, "trace")} added to ${made.dataset}@${made.number}${left.length ? `; left out: ${left.join(", ")}` : ""}`;
    },
    { quiet: true },
  );
  return (
    <form
      onSubmit={(e) => {
        e.preventDefault();
        if (name.trim()) add.mutate(undefined);
      }}
    >
      <Field label="Dataset" hint={known ? `Its ${plural(known.rows, "row")} stay; a new version has these besides.` : "A new name makes a new dataset."}>
        {(id) => (
          <>
            <input id={id} list={`${id}-names`} autoFocus placeholder="support-cases" value={name} onChange={(e) => setName(e.target.value)} />
            <datalist id={`${id}-names`}>
              {(datasets.data?.items ?? []).map((d) => (
                <option key={d.name} value={d.name} />
              ))}
            </datalist>
          </>
        )}
      </Field>
      <Field label="A row is" hint={ids ? "Each row keeps the trace it came from." : `Each row keeps the trace it came from; the newest ${full(MOST_COLLECTED)} traces at most.`}>
        {(id) => (
          <select id={id} value={each} onChange={(e) => setEach(e.target.value as "last" | "all")}>
            <option value="last">the last model call of each trace</option>
            <option value="all">every model call</option>
          </select>
        )}
      </Field>
      {add.error && (
        <div className="note bad" role="alert">
          {add.error.message} {add.error.hint}
        </div>
      )}
      <div className="actions">
        {add.isPending && (
          <span className="muted" role="status">
            Reading the traces…
          </span>
        )}
        <button type="button" className="button" onClick={onClose}>
          Cancel
        </button>
        <button type="submit" className="button primary" disabled={!name.trim() || add.isPending}>
          {ids ? `Add ${plural(ids.length, "trace")}` : "Add all that match"}
        </button>
      </div>
    </form>
  );
}
