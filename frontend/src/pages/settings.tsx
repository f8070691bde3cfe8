import { useState } from "react";
import { api, path } from "../api/client.ts";
import type { Audit, GatewayRoute, Key, Me, NewKey, Page, Provider } from "../api/types.ts";
import { Badge, Card, Code, Dialog, Facts, Field, PageHead, Table, Tabs, When } from "../components/bits.tsx";
import { Empty, Ready } from "../components/state.tsx";
import { A, useSearch } from "../lib/nav.tsx";
import { useAct, useGet } from "../lib/query.ts";
import { toast } from "../lib/toast.ts";

const TABS: [string, string][] = [["keys", "Keys"], ["providers", "Providers"], ["routes", "Routes"], ["audit", "Audit log"], ["about", "About"]];

function Keys() {
  const [search, patch] = useSearch();
  const keys = useGet<Page<Key>>("/keys");
  const [name, setName] = useState("");
  const [role, setRole] = useState("gateway");
  const [made, setMade] = useState<NewKey | null>(null);
  const [going, setGoing] = useState<Key | null>(null);
  const close = () => {
    setMade(null);
    setName("");
    patch({ new: undefined }, { replace: true });
  };
  const make = useAct(() => api.post<NewKey>("/keys", { name, role }), (k) => setMade(k));
  const revoke = useAct((id: string) => api.del(path`/keys/${id}`), "Revoked; the key stops working now");
  return (
    <Card
      title="API keys"
      flush
      actions={
        <A className="button primary small" href="/settings?tab=keys&new=1">
          New key
        </A>
      }
    >
      <Ready query={keys}>
        {(page) =>
          page.items.length ? (
            <Table
              label="API keys"
              rows={page.items}
              keyOf={(k) => k.id}
              columns={[
                { head: "Name", cell: (k) => k.name },
                { head: "Key", cell: (k) => `${k.hint}…`, mono: true },
                { head: "Role", cell: (k) => k.role },
                { head: "Project", cell: (k) => k.any_project ? "any" : k.project },
                { head: "Made", cell: (k) => <When at={k.created_at} /> },
                { head: "State", cell: (k) => (k.revoked_at ? <Badge value="revoked" tone="bad" /> : <Badge value="active" tone="good" />) },
                {
                  head: "Action",
                  cell: (k) =>
                    k.revoked_at ? null : (
                      <button type="button" className="button small" aria-label={`Revoke ${k.name}`} onClick={() => setGoing(k)}>
                        Revoke
                      </button>
                    ),
                },
              ]}
            />
          ) : (
            <Empty title="No keys yet" />
          )
        }
      </Ready>
      <Dialog open={search.new === "1"} onClose={close} title={made ? "Copy the key now" : "New API key"}>
        {made ? (
          <>
            <p>It is shown only this once; Penstock keeps a digest.</p>
            <Code text={made.key} label="New key" />
            <div className="actions">
              <button type="button" className="button primary" onClick={close}>
                Done
              </button>
            </div>
          </>
        ) : (
          <form
            onSubmit={(e) => {
              e.preventDefault();
              make.mutate(undefined);
            }}
          >
            <Field label="Name" hint="What or who will use it">
              {(id) => <input id={id} required autoFocus value={name} onChange={(e) => setName(e.target.value)} />}
            </Field>
            <Field label="Role" hint="gateway: may only call models and send traces">
              {(id) => (
                <select id={id} value={role} onChange={(e) => setRole(e.target.value)}>
                  {["gateway", "viewer", "member", "admin", "owner"].map((r) => (
                    <option key={r}>{r}</option>
                  ))}
                </select>
              )}
            </Field>
            <div className="actions">
              <button type="submit" className="button primary" disabled={make.isPending}>
                Create key
              </button>
            </div>
          </form>
        )}
      </Dialog>
      <Dialog open={going !== null} onClose={() => setGoing(null)} title={`Revoke ${going?.name ?? ""}?`}>
        <p>Programs that use this key are refused from this moment on. This cannot be undone.</p>
        <div className="actions">
          <button type="button" className="button" onClick={() => setGoing(null)}>
            Keep it
          </button>
          <button
            type="button"
            className="button danger"
            onClick={() => {
              if (going) revoke.mutate(going.id);
              setGoing(null);
            }}
          >
            Revoke
          </button>
        </div>
      </Dialog>
    </Card>
  );
}

function Providers() {
  const providers = useGet<Page<Provider>>("/providers");
  const [form, setForm] = useState({ name: "", kind: "openai", base_url: "", api_key: "" });
  const set = (key: keyof typeof form) => (e: { target: { value: string } }) => setForm({ ...form, [key]: e.target.value });
  const save = useAct(() => api.put(path`/providers/${form.name}`, { kind: form.kind, base_url: form.base_url, api_key: form.api_key || null }), () => {
    setForm({ name: "", kind: "openai", base_url: "", api_key: "" });
    return "Provider saved";
  });
  const remove = useAct((name: string) => api.del(path`/providers/${name}`), "Provider removed");
  const test = useAct(
    (name: string) => api.post<{ ok: boolean; message: string; latency_ms: number }>(path`/providers/${name}/test`),
    (r, name) => toast(`${name}: ${r.message || (r.ok ? "answers" : "does not answer")} (${Math.round(r.latency_ms)} ms)`, r.ok ? "info" : "error"),
  );
  return (
    <>
      <Card title="Providers" flush>
        <Ready query={providers}>
          {(page) =>
            page.items.length ? (
              <Table
                label="Providers"
                rows={page.items}
                keyOf={(p) => p.name}
                columns={[
                  { head: "Name", cell: (p) => p.name },
                  { head: "Kind", cell: (p) => p.kind },
                  { head: "Address", cell: (p) => p.base_url || "–", mono: true },
                  { head: "Secret", cell: (p) => (p.key_env ? `from ${p.key_env}` : p.has_key ? "sealed" : "none") },
                  {
                    head: "Action",
                    cell: (p) => (
                      <span className="row">
                        <button type="button" className="button small" aria-label={`Test ${p.name}`} disabled={test.isPending} onClick={() => test.mutate(p.name)}>
                          Test
                        </button>
                        <button type="button" className="button small" aria-label={`Remove ${p.name}`} onClick={() => remove.mutate(p.name)}>
                          Remove
                        </button>
                      </span>
                    ),
                  },
                ]}
              />
            ) : (
              <Empty title="No providers yet">
                <p className="muted">Add one below, or write it into penstock.toml and run penstock apply.</p>
              </Empty>
            )
          }
        </Ready>
      </Card>
      <Card title="Add or change a provider">
        <form
          className="fields"
          onSubmit={(e) => {
            e.preventDefault();
            save.mutate(undefined);
          }}
        >
          <Field label="Name">{(id) => <input id={id} required value={form.name} onChange={set("name")} />}</Field>
          <Field label="Kind">
            {(id) => (
              <select id={id} value={form.kind} onChange={set("kind")}>
                <option value="openai">openai (and compatible)</option>
                <option>anthropic</option>
                <option>local</option>
              </select>
            )}
          </Field>
          <Field label="Address">{(id) => <input id={id} type="url" placeholder="https://api.openai.com/v1" value={form.base_url} onChange={set("base_url")} />}</Field>
          <Field label="API key">{(id) => <input id={id} type="password" autoComplete="off" value={form.api_key} onChange={set("api_key")} />}</Field>
          <div className="actions">
            <button type="submit" className="button primary" disabled={save.isPending}>
              Save provider
            </button>
          </div>
        </form>
      </Card>
    </>
  );
}

function Routes() {
  const routes = useGet<Page<GatewayRoute>>("/routes");
  const providers = useGet<Page<Provider>>("/providers");
  const [form, setForm] = useState({ name: "", strategy: "weighted", provider: "", model: "" });
  const set = (key: keyof typeof form) => (e: { target: { value: string } }) => setForm({ ...form, [key]: e.target.value });
  const save = useAct(() => api.put(path`/routes/${form.name}`, { strategy: form.strategy, targets: [{ provider: form.provider, model: form.model, weight: 1 }] }), () => {
    setForm({ name: "", strategy: "weighted", provider: "", model: "" });
    return "Route saved";
  });
  const remove = useAct((name: string) => api.del(path`/routes/${name}`), "Route removed");
  return (
    <>
      <Card title="Routes" flush>
        <Ready query={routes}>
          {(page) =>
            page.items.length ? (
              <Table
                label="Routes"
                rows={page.items}
                keyOf={(r) => r.name}
                columns={[
                  { head: "Model name", cell: (r) => <A href={`/playground?model=${encodeURIComponent(r.name)}`}>{r.name}</A> },
                  { head: "Strategy", cell: (r) => r.strategy },
                  { head: "Targets", cell: (r) => r.targets.map((t) => `${t.provider}/${t.model}${r.targets.length > 1 && t.weight != null ? ` × ${t.weight}` : ""}`).join(", "), mono: true },
                  {
                    head: "Action",
                    cell: (r) => (
                      <button type="button" className="button small" aria-label={`Remove ${r.name}`} onClick={() => remove.mutate(r.name)}>
                        Remove
                      </button>
                    ),
                  },
                ]}
              />
            ) : (
              <Empty title="No routes yet">
                <p className="muted">A route is the model name that your programs use; it points at one or more providers.</p>
              </Empty>
            )
          }
        </Ready>
      </Card>
      <Card title="Add or change a route">
        <form
          className="fields"
          onSubmit={(e) => {
            e.preventDefault();
            save.mutate(undefined);
          }}
        >
          <Field label="Model name">{(id) => <input id={id} required value={form.name} onChange={set("name")} />}</Field>
          <Field label="Strategy">
            {(id) => (
              <select id={id} value={form.strategy} onChange={set("strategy")}>
                <option>weighted</option>
                <option>fallback</option>
              </select>
            )}
          </Field>
          <Field label="Provider">
            {(id) => (
              <select id={id} required value={form.provider} onChange={set("provider")}>
                <option value="">Choose…</option>
                {(providers.data?.items ?? []).map((p) => (
                  <option key={p.name}>{p.name}</option>
                ))}
              </select>
            )}
          </Field>
          <Field label="Its model">{(id) => <input id={id} required value={form.model} onChange={set("model")} />}</Field>
          <div className="actions">
            <button type="submit" className="button primary" disabled={save.isPending}>
              Save route
            </button>
          </div>
        </form>
      </Card>
    </>
  );
}

function AuditLog() {
  const audit = useGet<Page<Audit>>("/audit", { limit: 100 });
  return (
    <Card title="Audit log" flush>
      <Ready query={audit}>
        {(page) =>
          page.items.length ? (
            <Table
              label="Audit log"
              rows={page.items}
              keyOf={(a) => String(a.number)}
              columns={[
                { head: "When", cell: (a) => <When at={a.at} /> },
                { head: "Who", cell: (a) => a.actor_name },
                { head: "What", cell: (a) => a.action, mono: true },
                { head: "On", cell: (a) => a.target, mono: true },
              ]}
            />
          ) : (
            <Empty title="Nothing is recorded yet" />
          )
        }
      </Ready>
    </Card>
  );
}

function About() {
  const me = useGet<Me>("/me");
  return (
    <Card title="About">
      <Facts
        items={[
          ["Version", me.data?.version],
          ["Address", <span className="mono">{window.location.origin}</span>],
          ["Signed in as", me.data && `${me.data.name} (${me.data.role})`],
          ["Management API", <span className="mono">{`${window.location.origin}/api/v1`}</span>],
          ["Gateway", <span className="mono">{`${window.location.origin}/v1`}</span>],
          ["OpenTelemetry", <span className="mono">{`${window.location.origin}/v1/traces`}</span>],
        ]}
      />
    </Card>
  );
}

export default function Settings() {
  const [search] = useSearch();
  const tab = search.tab ?? "keys";
  return (
    <div className="page">
      <PageHead title="Settings" />
      <Tabs label="Settings" current={tab} items={TABS} hrefOf={(k) => `/settings?tab=${k}`} />
      {tab === "keys" && <Keys />}
      {tab === "providers" && <Providers />}
      {tab === "routes" && <Routes />}
      {tab === "audit" && <AuditLog />}
      {tab === "about" && <About />}
    </div>
  );
}
