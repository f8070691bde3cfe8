/** Put recorded calls into a dataset: of chosen traces, or of everything that matches. */
import { useEffect, useRef, useState } from "react";
import { api, ApiError, path, query as params, type Params } from "../api/client.ts";
import type { Dataset, Page } from "../api/types.ts";
import { rowsMatching, rowsOf } from "../lib/gather.ts";
import { full, plural } from "../lib/format.ts";
import { useGo } from "../lib/nav.tsx";
import { useAct, useGet } from "../lib/query.ts";
import { lastOnly } from "../lib/rows.ts";
import { Dialog, Field } from "./bits.tsx";

/** More than this belongs into a job on the server: `penstock traces export` and `penstock datasets ingest`. */
const MOST_ROWS = 20_000;
const MOST_PARENTS = 200;

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
  const [each, setEach] = useState("last");
  const [progress, setProgress] = useState("");
  const control = useRef<AbortController>(null);
  useEffect(() => () => control.current?.abort(), []);
  const known = (datasets.data?.items ?? []).find((d) => d.name === name.trim());
  const add = useAct(
    async () => {
      control.current = new AbortController();
      const found = ids
        ? { rows: await rowsOf(ids, (n) => setProgress(`Read ${full(n)} of ${plural(ids.length, "trace")}`)), more: false }
        : await rowsMatching(asked!(), MOST_ROWS, (n) => setProgress(`Read ${plural(n, "call")}`), control.current.signal);
      const rows = each === "last" ? lastOnly(found.rows) : found.rows;
      if (!rows.length) throw new ApiError(0, "None of these traces holds a model call with its messages.", "Bodies may not be recorded, or have been masked.");
      setProgress(`Sending ${plural(rows.length, "row")}`);
      const traces = [...new Set(rows.map((r) => r.trace_id))].slice(0, MOST_PARENTS);
      const parents = traces.map((t) => `&parent=${encodeURIComponent(`trace:${t}`)}`).join("");
      const body = new Blob(rows.map((r) => `${JSON.stringify(r)}\n`));
      await api.post(`${path`/datasets/${name.trim()}/versions`}${params({ format: "jsonl", filename: "traces.jsonl", append: known && known.latest > 0 ? true : undefined, description: `From ${plural(new Set(rows.map((r) => r.trace_id)).size, "trace")}` })}${parents}`, body);
      return { rows: rows.length, more: found.more };
    },
    ({ rows, more }) => {
      done?.();
      onClose();
      go(`/datasets/${encodeURIComponent(name.trim())}`);
      return `${plural(rows, "row")} added to ${name.trim()}${more ? `; the first ${full(MOST_ROWS)} calls only` : ""}`;
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
      <Field label="A row is" hint="prompt (messages), completion (text), trace_id, span_id, model">
        {(id) => (
          <select id={id} value={each} onChange={(e) => setEach(e.target.value)}>
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
        {add.isPending && <span className="muted" role="status">{progress || "Reading…"}</span>}
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
