import { useState } from "react";
import { api, path } from "../../api/client.ts";
import type { GuardConfig, GuardPolicy, Page } from "../../api/types.ts";
import { Card, Dialog, Field, Table, When } from "../../components/bits.tsx";
import { Confirm, GatewayPage, RangeSelect } from "../../components/gateway.tsx";
import { TryIt } from "../../components/guardtry.tsx";
import { Empty, Ready } from "../../components/state.tsx";
import { DayCounts, GuardEvents } from "../../components/verdicts.tsx";
import { plural } from "../../lib/format.ts";
import { A, useGo, useSearch } from "../../lib/nav.tsx";
import { useAct, useGet } from "../../lib/query.ts";

function Guards({ items }: { items: GuardConfig[] }) {
  return (
    <ol className="labels" aria-label="Guards in order">
      {items.map((g, n) => (
        <li key={n}>
          <span className="badge plain" title={`${g.kind}, ${g.stage ?? "its usual stage"}, ${g.on_error === "open" ? "goes on" : "refuses"} when it fails`}>
            {`${g.name || g.kind}${g.action ? ` · ${g.action}` : ""}${g.stage ? ` · ${g.stage}` : ""}${g.on_error === "open" ? " · open" : ""}`}
          </span>
        </li>
      ))}
    </ol>
  );
}

function Policies({ items }: { items: GuardPolicy[] }) {
  const [going, setGoing] = useState("");
  const remove = useAct((name: string) => api.del(path`/guardrails/${name}`), "Policy removed; its versions stay on record with the traces that cite them");
  return (
    <Card title={plural(items.length, "policy", "policies")} flush>
      <Table
        label="Guardrail policies"
        rows={[...items].sort((a, b) => a.order - b.order || a.name.localeCompare(b.name))}
        keyOf={(p) => p.name}
        columns={[
          { head: "Order", cell: (p) => p.order, num: true },
          {
            head: "Policy",
            cell: (p) => (
              <>
                <A href={`/gateway/guardrails/${encodeURIComponent(p.name)}`}>{p.name}</A>
                <div className="muted ellipsis">{`version ${p.number}${p.description ? `: ${p.description}` : ""}`}</div>
              </>
            ),
          },
          { head: "Routes", cell: (p) => p.routes.join(", "), mono: true },
          { head: "Keys", cell: (p) => p.keys.join(", "), mono: true },
          { head: "Guards", cell: (p) => <Guards items={p.guards} /> },
          { head: "Last 24 hours", cell: (p) => <DayCounts policy={p.name} /> },
          { head: "Changed", cell: (p) => <When at={p.created_at} /> },
          {
            head: "Action",
            cell: (p) => (
              <button type="button" className="button small" aria-label={`Remove ${p.name}`} onClick={() => setGoing(p.name)}>
                Remove
              </button>
            ),
          },
        ]}
      />
      <Confirm open={!!going} title={`Remove the policy ${going}?`} act="Remove policy" onYes={() => remove.mutate(going)} onNo={() => setGoing("")}>
        <p>Its guards look at no call from then on.</p>
      </Confirm>
    </Card>
  );
}

function NewPolicy({ open, taken, onClose }: { open: boolean; taken: string[]; onClose: () => void }) {
  const go = useGo();
  const [name, setName] = useState("");
  const used = taken.includes(name);
  return (
    <Dialog open={open} onClose={onClose} title="New policy">
      <form
        onSubmit={(e) => {
          e.preventDefault();
          if (!used) go(`/gateway/guardrails/${encodeURIComponent(name)}`);
        }}
      >
        <Field label="Name" hint={used ? <span className="bad-ink">There is a policy of this name.</span> : "Lower-case letters, digits, - and _"}>
          {(id) => <input id={id} className="mono" autoFocus required pattern="[a-z0-9][a-z0-9_\-]{0,62}" value={name} onChange={(e) => setName(e.target.value)} />}
        </Field>
        <div className="actions">
          <button type="button" className="button" onClick={onClose}>
            Cancel
          </button>
          <button type="submit" className="button primary" disabled={used || !name}>
            Choose its guards
          </button>
        </div>
      </form>
    </Dialog>
  );
}

export default function Guardrails() {
  const [search, patch] = useSearch();
  const policies = useGet<Page<GuardPolicy>>("/guardrails");
  const [tried, setTried] = useState("");
  const names = policies.data?.items.map((p) => p.name) ?? [];
  const routes = useGet<Page<{ name: string }>>("/routes", undefined, { staleTime: 30_000 });
  const [route, setRoute] = useState("");
  return (
    <GatewayPage
      tab="guardrails"
      note="What calls and answers may hold"
      actions={
        <>
          <RangeSelect />
          <A className="button primary" href="/gateway/guardrails?new=1">
            New policy
          </A>
        </>
      }
    >
      <Ready query={policies}>
        {(page) =>
          page.items.length ? (
            <>
              <Policies items={page.items} />
              <TryIt
                key={`${tried} ${route}`}
                note="Guards that ask another server do so; else nothing is sent, and nothing is written down."
                subject={() => (tried ? { policy: tried } : { route })}
                actions={
                  <>
                    {!tried && (
                      <select aria-label="Route to try" value={route} onChange={(e) => setRoute(e.target.value)}>
                        <option value="">No route</option>
                        {(routes.data?.items ?? []).map((r) => (
                          <option key={r.name}>{r.name}</option>
                        ))}
                      </select>
                    )}
                    <select aria-label="Policy to try" value={tried} onChange={(e) => setTried(e.target.value)}>
                      <option value="">All that hold for the route</option>
                      {names.map((n) => (
                        <option key={n}>{n}</option>
                      ))}
                    </select>
                  </>
                }
              />
            </>
          ) : (
            <Empty title="No guardrails yet">
              <p className="muted">A policy masks personal data and secrets, refuses attacks, topics and tools, and caps sizes: on the way in, on the way out, in streams too.</p>
              <p>
                <A className="button" href="/gateway/guardrails?new=1">
                  Make the first policy
                </A>
              </p>
            </Empty>
          )
        }
      </Ready>
      {policies.data && <GuardEvents />}
      <NewPolicy open={search.new === "1"} taken={names} onClose={() => patch({ new: undefined }, { replace: true })} />
    </GatewayPage>
  );
}
