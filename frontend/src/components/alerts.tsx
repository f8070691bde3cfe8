/** What budgets have told, and where it is sent. */
import { useState } from "react";
import { api, type ApiError } from "../api/client.ts";
import type { BudgetAlert, Webhook } from "../api/types.ts";
import { useAct, useGet } from "../lib/query.ts";
import { Badge, Card, Table, When } from "./bits.tsx";
import { Refused } from "./gateway.tsx";

function WebhookForm() {
  const known = useGet<Webhook>("/alerts/webhook");
  const [url, setUrl] = useState("");
  const [secret, setSecret] = useState("");
  const set = useAct(async () => setSecret((await api.put<{ secret: string }>("/alerts/webhook", { url })).secret), "Webhook set");
  const trial = useAct(() => api.post("/alerts/webhook/trial"), "The webhook took the trial alert");
  const remove = useAct(() => api.del("/alerts/webhook"), "Webhook deleted");
  const at = known.data?.url ?? null;
  return (
    <div className="pad">
      <form
        className="row"
        onSubmit={(event) => {
          event.preventDefault();
          set.mutate(undefined);
        }}
      >
        <input style={{ flex: "1 1 280px", maxWidth: 480 }} aria-label="Webhook for alerts" type="url" required placeholder={at ?? "https://hooks.example.com/penstock"} value={url} onChange={(event) => setUrl(event.target.value)} />
        <button type="submit" className="button small">
          {at ? "Change webhook" : "Send alerts to it"}
        </button>
        {at && (
          <>
            <button type="button" className="button small" onClick={() => trial.mutate(undefined)}>
              Try
            </button>
            <button type="button" className="button small" onClick={() => remove.mutate(undefined)}>
              Delete webhook
            </button>
          </>
        )}
      </form>
      {secret && (
        <p>
          The secret that signs alerts, shown this once: <code>{secret}</code>
        </p>
      )}
      <Refused error={(set.error ?? trial.error ?? remove.error) as ApiError | null} />
    </div>
  );
}

export function AlertsCard({ items }: { items: BudgetAlert[] }) {
  return (
    <Card title="Alerts" flush>
      {items.length ? (
        <Table
          label="Alerts"
          rows={items}
          keyOf={(a) => a.id}
          columns={[
            { head: "When", cell: (a) => <When at={a.at} /> },
            { head: "Budget", cell: (a) => <Badge value={a.fraction >= 1 ? "used up" : `${Math.round(a.fraction * 100)}%`} tone={a.fraction >= 1 ? "bad" : "wait"} /> },
            { head: "What", cell: (a) => a.text },
            { head: "Webhook", cell: (a) => <span title={a.error ?? undefined}>{a.delivery === "none" ? "" : a.delivery}</span> },
          ]}
        />
      ) : (
        <p className="pad muted">No budget has reached a fraction at which it tells.</p>
      )}
      <WebhookForm />
    </Card>
  );
}
