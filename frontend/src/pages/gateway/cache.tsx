import { useState } from "react";
import { api, path, query, type ApiError } from "../../api/client.ts";
import type { CachePolicy, CacheStats, GatewayRoute, Page } from "../../api/types.ts";
import { Badge, Card, Dialog, Facts, Field, Table, When } from "../../components/bits.tsx";
import { Confirm, GatewayPage, Refused } from "../../components/gateway.tsx";
import { Empty, Ready } from "../../components/state.tsx";
import { bytes, full, percent, plural } from "../../lib/format.ts";
import { A, useSearch } from "../../lib/nav.tsx";
import { useAct, useGet } from "../../lib/query.ts";

const LABELS: [key: string, label: string][] = [
  ["semantic_hits", "of them by meaning"],
  ["misses", "Misses"],
  ["bypasses", "Passed by"],
  ["stored", "Stored"],
  ["refused", "Not worth keeping"],
  ["dropped", "Kept in memory only"],
  ["memory_entries", "In memory"],
];

function Stats() {
  const stats = useGet<CacheStats>("/cache/stats", undefined, { every: 5_000 });
  return (
    <Card title="What it keeps and saves">
      <Ready query={stats} rows={2}>
        {(s) => {
          const done = s.process;
          const asked = done ? (done.hits ?? 0) + (done.misses ?? 0) : 0;
          return (
            <Facts
              items={[
                ["Answers kept", full(s.entries)],
                ["Size", bytes(s.bytes)],
                ["Hit rate", done ? (asked ? percent((done.hits ?? 0) / asked) : "–") : null],
                ["Hits since the start", done ? full(done.hits ?? 0) : null],
                ...LABELS.filter(([key]) => done && key in done).map(([key, label]): [string, string] => [label, full(done![key])]),
              ]}
            />
          );
        }}
      </Ready>
    </Card>
  );
}

interface Draft {
  route: string;
  mode: string;
  ttl: string;
  scope: string;
  threshold: string;
  max_entry_kb: string;
  embedder: string;
}

const draftOf = (p: CachePolicy | undefined): Draft => ({
  route: p?.route ?? "*",
  mode: p?.mode ?? "exact",
  ttl: String(p?.ttl ?? 3600),
  scope: p?.scope ?? "key",
  threshold: String(p?.threshold ?? 0.95),
  max_entry_kb: String(p?.max_entry_kb ?? 256),
  embedder: p?.embedder.model ? `${p.embedder.provider}/${p.embedder.model}` : "",
});

function bodyOf(d: Draft): unknown {
  const [provider = "", ...model] = d.embedder.trim().split("/");
  const embedder = d.embedder.trim() ? { provider, model: model.join("/") } : { provider: "hashed", model: "" };
  return { mode: d.mode, ttl: Number(d.ttl), scope: d.scope, threshold: Number(d.threshold), max_entry_kb: Number(d.max_entry_kb), embedder };
}

function Form({ policy, onDone }: { policy: CachePolicy | undefined; onDone: () => void }) {
  const routes = useGet<Page<GatewayRoute>>("/routes");
  const [d, setDraft] = useState(() => draftOf(policy));
  const set = (key: keyof Draft) => (e: { target: { value: string } }) => setDraft({ ...d, [key]: e.target.value });
  const save = useAct(
    () => api.put(path`/cache/policies/${d.route}`, bodyOf(d)),
    () => {
      onDone();
      return "Policy saved";
    },
    { quiet: true },
  );
  return (
    <form
      onSubmit={(e) => {
        e.preventDefault();
        save.mutate(undefined);
      }}
    >
      <div className="fields">
        <Field label="Route">
          {(id) => (
            <select id={id} disabled={!!policy} value={d.route} onChange={set("route")}>
              <option value="*">All without their own</option>
              {[...new Set([...(routes.data?.items ?? []).map((r) => r.name), ...(d.route === "*" ? [] : [d.route])])].map((name) => (
                <option key={name}>{name}</option>
              ))}
            </select>
          )}
        </Field>
        <Field label="Mode">
          {(id) => (
            <select id={id} value={d.mode} onChange={set("mode")}>
              <option>exact</option>
              <option>semantic</option>
            </select>
          )}
        </Field>
        <Field label="Shared by">
          {(id) => (
            <select id={id} value={d.scope} onChange={set("scope")}>
              <option value="key">nobody</option>
              <option value="project">the project</option>
            </select>
          )}
        </Field>
        <Field label="Keep for (seconds)">{(id) => <input id={id} type="number" min={1} required value={d.ttl} onChange={set("ttl")} />}</Field>
        <Field label="Largest answer (kB)">{(id) => <input id={id} type="number" min={1} required value={d.max_entry_kb} onChange={set("max_entry_kb")} />}</Field>
        {d.mode === "semantic" && <Field label="Least similarity">{(id) => <input id={id} type="number" min={0.5} max={1} step="any" required value={d.threshold} onChange={set("threshold")} />}</Field>}
      </div>
      {d.mode === "semantic" && (
        <Field label="Embedder" hint="provider/model; empty measures by the words themselves, without a model">
          {(id) => <input id={id} className="mono" placeholder="openai/text-embedding-3-small" value={d.embedder} onChange={set("embedder")} />}
        </Field>
      )}
      <p className="hint">
        {d.mode === "exact" ? "The same request gets the same answer again" : "A request whose last text is nearly the same, all else equal, gets the same answer again"}
        {d.scope === "key" ? ", to the key that asked for it." : ", to every key of the project: for answers that hold nothing of one caller."}
      </p>
      <Refused error={save.error as ApiError | null} />
      <div className="actions">
        <button type="button" className="button" onClick={onDone}>
          Cancel
        </button>
        <button type="submit" className="button primary" disabled={save.isPending}>
          Save policy
        </button>
      </div>
    </form>
  );
}

/** Seconds as the largest unit that fits whole. */
function lasts(seconds: number): string {
  const [size, name] = ([[86_400, "d"], [3600, "h"], [60, "min"]] as const).find(([n]) => seconds >= n && seconds % n === 0) ?? [1, "s"];
  return `${full(seconds / size)} ${name}`;
}

const called = (route: string) => (route === "*" ? "all without their own" : route);

function Policies({ items, onEdit, onPurge }: { items: CachePolicy[]; onEdit: (route: string) => void; onPurge: (route: string) => void }) {
  const [going, setGoing] = useState("");
  const remove = useAct((route: string) => api.del(path`/cache/policies/${route}`), "Policy removed; nothing new is kept");
  return (
    <Card title="Policies" flush>
      <Table
        label="Cache policies"
        rows={items}
        keyOf={(p) => p.route}
        columns={[
          { head: "Route", cell: (p) => called(p.route) },
          { head: "Mode", cell: (p) => <Badge value={p.mode} tone={p.mode === "semantic" ? "busy" : "plain"} /> },
          { head: "Kept for", cell: (p) => lasts(p.ttl), num: true },
          { head: "Shared by", cell: (p) => (p.scope === "key" ? "each key its own" : "the project") },
          {
            head: "Similarity",
            cell: (p) =>
              p.mode === "semantic" ? (
                <>
                  <span>{`≥ ${p.threshold}`}</span>
                  <div className="muted ellipsis">{p.embedder.model ? `${p.embedder.provider}/${p.embedder.model}` : "by the words"}</div>
                </>
              ) : (
                "–"
              ),
          },
          { head: "Changed", cell: (p) => <When at={p.updated_at} /> },
          {
            head: "Action",
            cell: (p) => (
              <span className="row">
                <button type="button" className="button small" aria-label={`Edit the policy of ${called(p.route)}`} onClick={() => onEdit(p.route)}>
                  Edit
                </button>
                {p.route !== "*" && (
                  <button type="button" className="button small" aria-label={`Empty the cache of ${p.route}`} onClick={() => onPurge(p.route)}>
                    Empty
                  </button>
                )}
                <button type="button" className="button small" aria-label={`Remove the policy of ${called(p.route)}`} onClick={() => setGoing(p.route)}>
                  Remove
                </button>
              </span>
            ),
          },
        ]}
      />
      <Confirm open={!!going} title={`Stop keeping answers of ${called(going)}?`} act="Remove policy" onYes={() => remove.mutate(going)} onNo={() => setGoing("")}>
        <p>Calls go to the providers again, unless the policy for all routes holds.</p>
      </Confirm>
    </Card>
  );
}

export default function Cache() {
  const [search, patch] = useSearch();
  const policies = useGet<Page<CachePolicy>>("/cache/policies");
  const [emptying, setEmptying] = useState<string | null>(null);
  const purge = useAct(
    (route: string) => api.del<{ purged: number }>(`/cache${query({ route })}`),
    (found) => `${plural(found?.purged ?? 0, "answer")} thrown away`,
  );
  const edited = policies.data?.items.find((p) => p.route === search.edit);
  const close = () => patch({ new: undefined, edit: undefined }, { replace: true });
  return (
    <GatewayPage
      tab="cache"
      note="Answers that need not be bought twice"
      actions={
        <>
          <button type="button" className="button danger" onClick={() => setEmptying("")}>
            Empty the cache
          </button>
          <A className="button primary" href="/gateway/cache?new=1">
            New policy
          </A>
        </>
      }
    >
      <Stats />
      <Ready query={policies}>
        {(page) =>
          page.items.length ? (
            <Policies items={page.items} onEdit={(route) => patch({ edit: route })} onPurge={setEmptying} />
          ) : (
            <Empty title="No route keeps its answers">
              <p className="muted">With a policy a route gives the same answer to the same request again, within its time, without asking the provider.</p>
            </Empty>
          )
        }
      </Ready>
      <Dialog open={search.new === "1" || !!edited} onClose={close} title={edited ? `Cache of ${called(edited.route)}` : "New policy"}>
        <Form key={edited?.route ?? ""} policy={edited} onDone={close} />
      </Dialog>
      <Confirm open={emptying !== null} title={emptying ? `Empty the cache of ${emptying}?` : "Empty the whole cache?"} act="Throw away" onYes={() => purge.mutate(emptying ?? "")} onNo={() => setEmptying(null)}>
        <p>The answers are gone; the next calls go to the providers and are paid for.</p>
      </Confirm>
    </GatewayPage>
  );
}
