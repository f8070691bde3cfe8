import { useState } from "react";
import { useParams } from "@tanstack/react-router";
import { api, path } from "../api/client.ts";
import { Copy, Dialog, Field, PageHead } from "../components/bits.tsx";
import { Popover } from "../components/popover.tsx";
import { TraceView } from "../components/spans.tsx";
import { ToDataset } from "../components/todataset.tsx";
import { ToQueue } from "../components/toqueue.tsx";
import { exportHref } from "../lib/gather.ts";
import { full } from "../lib/format.ts";
import { useKeys } from "../lib/keys.ts";
import { type Place, placeOf } from "../lib/listing.ts";
import { A, stringifySearch, useGo } from "../lib/nav.tsx";
import { useAct } from "../lib/query.ts";

/** To the neighbours in the list the trace was opened from. */
function Neighbours({ place }: { place: Place }) {
  return (
    <span className="row neighbours">
      {place.previous ? (
        <A className="button small" href={`/traces/${place.previous}`} aria-label="Previous trace" title="Previous trace (k)">
          ‹
        </A>
      ) : (
        <button type="button" className="button small" disabled aria-label="Previous trace">
          ‹
        </button>
      )}
      <A href={place.href} className="muted" title="Back to the list">{`${full(place.at + 1)} of ${full(place.of)}`}</A>
      {place.next ? (
        <A className="button small" href={`/traces/${place.next}`} aria-label="Next trace" title="Next trace (j)">
          ›
        </A>
      ) : (
        <button type="button" className="button small" disabled aria-label="Next trace">
          ›
        </button>
      )}
    </span>
  );
}

function Compare({ id, close }: { id: string; close: () => void }) {
  const go = useGo();
  const [other, setOther] = useState("");
  const read = /[0-9a-f]{32}/i.exec(other)?.[0].toLowerCase();
  return (
    <form
      className="pad"
      onSubmit={(e) => {
        e.preventDefault();
        if (!read) return;
        close();
        go(`/traces/${id}/diff/${read}`);
      }}
    >
      <Field label="The other trace" hint="Its id or its address. In the list, tick two and press Compare.">
        {(field) => <input id={field} className="mono" value={other} onChange={(e) => setOther(e.target.value)} />}
      </Field>
      <button type="submit" className="button small" disabled={!read}>
        Compare
      </button>
    </form>
  );
}

function Delete({ id, open, onClose, back }: { id: string; open: boolean; onClose: () => void; back: string }) {
  const go = useGo();
  const remove = useAct(() => api.del(path`/traces/${id}`), () => {
    go(back, { replace: true });
    return "Trace deleted";
  });
  return (
    <Dialog open={open} onClose={onClose} title="Delete this trace?">
      <p>Its spans, bodies and search entries go, and it leaves every sum. This cannot be undone.</p>
      <div className="actions">
        <button type="button" className="button" onClick={onClose}>
          Keep it
        </button>
        <button type="button" className="button danger" disabled={remove.isPending} onClick={() => remove.mutate(undefined)}>
          Delete trace
        </button>
      </div>
    </Dialog>
  );
}

export default function TracePage() {
  const { traceId = "" } = useParams({ strict: false }) as { traceId?: string };
  const go = useGo();
  const place = placeOf(traceId);
  const [open, setOpen] = useState<"dataset" | "queue" | "delete" | null>(null);
  const back = place?.href ?? "/traces";
  useKeys({
    Escape: () => go(back),
    j: () => place?.next && go(`/traces/${place.next}`),
    k: () => place?.previous && go(`/traces/${place.previous}`),
  });
  const close = () => setOpen(null);
  return (
    <div className="page fill">
      <PageHead title={`Trace ${traceId.slice(0, 8)}`} crumbs={[["Traces", back]]} note={<span className="mono muted">{traceId}</span>}>
        {place && <Neighbours place={place} />}
        <button type="button" className="button small" onClick={() => setOpen("dataset")}>
          Add to dataset…
        </button>
        <button type="button" className="button small" onClick={() => setOpen("queue")}>
          Add to queue…
        </button>
        <Popover button="Compare" small end>
          {(shut) => <Compare id={traceId} close={shut} />}
        </Popover>
        <A href={`/logs${stringifySearch({ trace: traceId })}`} className="button small">
          Logs
        </A>
        <a className="button small" download href={exportHref("jsonl", { query: `id:${traceId}` })}>
          Export
        </a>
        <button type="button" className="button small danger" onClick={() => setOpen("delete")}>
          Delete…
        </button>
        <Copy text={window.location.href} label="Copy link" />
      </PageHead>
      <TraceView key={traceId} traceId={traceId} />
      <ToDataset open={open === "dataset"} onClose={close} ids={[traceId]} />
      <ToQueue open={open === "queue"} onClose={close} ids={[traceId]} />
      <Delete id={traceId} open={open === "delete"} onClose={close} back={back} />
    </div>
  );
}
