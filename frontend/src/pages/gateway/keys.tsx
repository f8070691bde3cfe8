import { useState } from "react";
import { api, path } from "../../api/client.ts";
import type { Key, NamedLimits, Page, TraceRow, Usage } from "../../api/types.ts";
import { Badge, Card, Dialog, Table, When } from "../../components/bits.tsx";
import { Confirm, GatewayPage } from "../../components/gateway.tsx";
import { CreateKey, RotateKey } from "../../components/keydialogs.tsx";
import { LimitsForm, limitsText } from "../../components/limitsform.tsx";
import { Empty, Ready } from "../../components/state.tsx";
import { dayAgo } from "../../components/spark.tsx";
import { count, usd } from "../../lib/format.ts";
import { A, useSearch } from "../../lib/nav.tsx";
import { useAct, useGet } from "../../lib/query.ts";

/** Whether a key works: revoked and ended ones do not. */
function stateOf(key: Key, now = Date.now()): [string, string] {
  if (key.revoked_at) return ["revoked", "bad"];
  if (key.expires_at && Date.parse(key.expires_at) <= now) return ["ended", "bad"];
  return ["active", "good"];
}

/** When the key was last seen in a trace; any key's calls are traced. */
function LastUsed({ id }: { id: string }) {
  const traces = useGet<Page<TraceRow>>("/traces", { key: id, limit: 1 }, { staleTime: 30_000 });
  if (!traces.data) return <span className="muted">{traces.error ? "unknown" : "…"}</span>;
  const [last] = traces.data.items;
  return last ? <When at={last.started_at} /> : <span>never</span>;
}

function List({ keys, limits, onLimit, onRotate }: { keys: Key[]; limits: NamedLimits[]; onLimit: (id: string) => void; onRotate: (id: string) => void }) {
  const [going, setGoing] = useState<Key | null>(null);
  const revoke = useAct((id: string) => api.del(path`/keys/${id}`), "Revoked; the key stops working now");
  const usage = useGet<Page<Usage>>("/usage", { group_by: "key", since: dayAgo() }, { staleTime: 10_000 });
  const used = new Map((usage.data?.items ?? []).map((u) => [u.group, u]));
  const of = (key: Key) => limits.find((l) => l.kind === "key" && l.subject === key.id)?.limits;
  return (
    <Card flush>
      <Table
        label="API keys"
        rows={keys}
        keyOf={(k) => k.id}
        columns={[
          {
            head: "Name",
            cell: (k) => (
              <>
                <div>{k.name}</div>
                <div className="muted small">
                  made <When at={k.created_at} />
                </div>
              </>
            ),
          },
          { head: "Key", cell: (k) => `${k.hint}…`, mono: true },
          { head: "Role", cell: (k) => (k.any_project ? `${k.role}, any project` : k.role) },
          { head: "Models", cell: (k) => <div className="wrap narrow">{k.models.join(", ") || "all"}</div> },
          { head: "Limits", cell: (k) => <div className="wrap narrow">{limitsText(of(k))}</div> },
          { head: "24 h", cell: (k) => <A href={`/traces?range=24h&key=${k.id}`} aria-label={`${count(used.get(k.id)?.calls ?? 0)} calls of ${k.name} in 24 hours`}>{count(used.get(k.id)?.calls ?? 0)}</A>, num: true },
          { head: "Cost", cell: (k) => usd(used.get(k.id)?.cost_usd ?? 0), num: true },
          { head: "Last used", cell: (k) => <LastUsed id={k.id} /> },
          { head: "Ends", cell: (k) => (k.expires_at ? k.expires_at.slice(0, 10) : "never") },
          { head: "State", cell: (k) => <Badge value={stateOf(k)[0]} tone={stateOf(k)[1]} /> },
          {
            head: "Action",
            cell: (k) =>
              stateOf(k)[0] === "active" ? (
                <span className="row">
                  <button type="button" className="button small" aria-label={`Limits of ${k.name}`} onClick={() => onLimit(k.id)}>
                    Limits
                  </button>
                  <button type="button" className="button small" aria-label={`Rotate ${k.name}`} onClick={() => onRotate(k.id)}>
                    Rotate
                  </button>
                  <button type="button" className="button small" aria-label={`Revoke ${k.name}`} onClick={() => setGoing(k)}>
                    Revoke
                  </button>
                </span>
              ) : null,
          },
        ]}
      />
      <Confirm open={going !== null} title={`Revoke ${going?.name ?? ""}?`} act="Revoke" onYes={() => going && revoke.mutate(going.id)} onNo={() => setGoing(null)}>
        <p>Programs that use this key are refused from this moment on. This cannot be undone.</p>
      </Confirm>
    </Card>
  );
}

export default function Keys() {
  const [search, patch] = useSearch();
  const keys = useGet<Page<Key>>("/keys");
  const limits = useGet<Page<NamedLimits>>("/limits");
  const close = () => patch({ new: undefined, limit: undefined, rotate: undefined }, { replace: true });
  const named = (id: string | undefined) => (id ? keys.data?.items.find((k) => k.id === id) : undefined);
  const limited = named(search.limit);
  return (
    <GatewayPage
      tab="keys"
      note="Who may call, how much at once, and what it cost"
      actions={
        <A className="button primary" href="/gateway/keys?new=1">
          New key
        </A>
      }
    >
      {limits.error && <p className="note bad">Limits cannot be shown now: {limits.error.message}</p>}
      <Ready query={keys}>
        {(page) => (page.items.length ? <List keys={page.items} limits={limits.data?.items ?? []} onLimit={(id) => patch({ limit: id })} onRotate={(id) => patch({ rotate: id })} /> : <Empty title="No keys yet" />)}
      </Ready>
      <CreateKey open={search.new === "1"} onClose={close} />
      <RotateKey target={named(search.rotate)} onClose={close} />
      <Dialog open={!!limited && !!limits.data} onClose={close} title={`Limits of ${limited?.name ?? ""}`}>
        {limited && <LimitsForm key={limited.id} url={path`/keys/${limited.id}/limits`} limits={limits.data?.items.find((l) => l.kind === "key" && l.subject === limited.id)?.limits} onDone={close} />}
      </Dialog>
    </GatewayPage>
  );
}
