/** Erase all of a user or a session, after saying how much that is. */
import { useState } from "react";
import { useQuery } from "@tanstack/react-query";
import { api, type ApiError } from "../api/client.ts";
import { plural } from "../lib/format.ts";
import { useGo } from "../lib/nav.tsx";
import { useAct } from "../lib/query.ts";
import { Dialog } from "./bits.tsx";

type What = { user: string } | { session: string };

function Sure({ what, named, onClose, back }: { what: What; named: string; onClose: () => void; back: string }) {
  const go = useGo();
  const much = useQuery<{ traces: number }, ApiError>({ queryKey: ["erase", what], queryFn: () => api.post("/traces/erase", { ...what, dry_run: true }), staleTime: 0, gcTime: 0 });
  const erase = useAct(() => api.post<{ traces: number; left: number }>("/traces/erase", { ...what, dry_run: false }), (done) => {
    onClose();
    go(back, { replace: true });
    return done.left ? `${plural(done.traces, "trace")} of ${named} hidden; erasing, ${done.left} left` : `${plural(done.traces, "trace")} of ${named} erased`;
  });
  return (
    <>
      <p>
        {much.error ? <span className="bad-ink">{much.error.message}</span> : much.data ? `${plural(much.data.traces, "trace")} of ${named} would be erased: spans, bodies and search entries.` : "Counting…"}{" "}
        What was spent stays in the sums. This cannot be undone.
      </p>
      <div className="actions">
        <button type="button" className="button" onClick={onClose}>
          Keep everything
        </button>
        <button type="button" className="button danger" disabled={!much.data || erase.isPending} onClick={() => erase.mutate(undefined)}>
          Erase
        </button>
      </div>
    </>
  );
}

export function Erase({ what, named, back }: { what: What; named: string; back: string }) {
  const [open, setOpen] = useState(false);
  const close = () => setOpen(false);
  return (
    <>
      <button type="button" className="button danger" onClick={() => setOpen(true)}>
        Erase…
      </button>
      <Dialog open={open} onClose={close} title={`Erase ${named}?`}>
        <Sure what={what} named={named} onClose={close} back={back} />
      </Dialog>
    </>
  );
}
