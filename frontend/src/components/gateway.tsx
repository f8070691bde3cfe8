/** What the gateway's pages share: their frame, an error beside a form, a question before something is lost, and the range. */
import type { ReactNode } from "react";
import type { ApiError } from "../api/client.ts";
import { useSearch } from "../lib/nav.tsx";
import { DEFAULT_RANGE, RANGES } from "../lib/time.ts";
import { Dialog, PageHead } from "./bits.tsx";

const LABELS: Record<string, string> = {
  routes: "Routes",
  providers: "Providers",
  keys: "Keys",
  budgets: "Limits & budgets",
  spend: "Spend",
  prices: "Prices",
  cache: "Cache",
  guardrails: "Guardrails",
  batches: "Batches",
};

export function GatewayPage({ tab, note, actions, children }: { tab: string; note: string; actions?: ReactNode; children: ReactNode }) {
  return (
    <div className="page">
      <PageHead title={LABELS[tab] ?? "Gateway"} note={<span className="muted">{note}</span>}>
        {actions}
      </PageHead>
      {children}
    </div>
  );
}

/** Why a form was refused, where the form is. */
export function Refused({ error }: { error: ApiError | null }) {
  if (!error) return null;
  return (
    <div className="note bad" role="alert">
      <b>{error.message}</b>
      {error.hint && <div>{error.hint}</div>}
    </div>
  );
}

/** A question before something is lost; nothing is lost by Esc. */
export function Confirm({ open, title, children, act, danger = true, onYes, onNo }: { open: boolean; title: string; children: ReactNode; act: string; danger?: boolean; onYes: () => void; onNo: () => void }) {
  return (
    <Dialog open={open} onClose={onNo} title={title}>
      {children}
      <div className="actions">
        <button type="button" className="button" onClick={onNo}>
          Cancel
        </button>
        <button
          type="button"
          className={danger ? "button danger" : "button primary"}
          onClick={() => {
            onYes();
            onNo();
          }}
        >
          {act}
        </button>
      </div>
    </Dialog>
  );
}

/** The time range of the page; it lives in the address and stays relative there. */
export function RangeSelect() {
  const [search, patch] = useSearch();
  return (
    <select aria-label="Time range" value={search.range ?? DEFAULT_RANGE} onChange={(e) => patch({ range: e.target.value === DEFAULT_RANGE ? undefined : e.target.value, since: undefined, until: undefined })}>
      {RANGES.map((r) => (
        <option key={r} value={r}>
          {r === "all" ? "All time" : `Last ${r}`}
        </option>
      ))}
    </select>
  );
}
