import { useState } from "react";
import { api, path, type ApiError } from "../../api/client.ts";
import type { Page, Probe, Provider, TargetHealth } from "../../api/types.ts";
import { Card, Dialog, Field, Table } from "../../components/bits.tsx";
import { Confirm, GatewayPage, Refused } from "../../components/gateway.tsx";
import { Empty, Ready } from "../../components/state.tsx";
import { count } from "../../lib/format.ts";
import { A, useSearch } from "../../lib/nav.tsx";
import { useAct, useGet } from "../../lib/query.ts";
import { toast } from "../../lib/toast.ts";

/** Kinds of this release; the server says so when it knows others. */
const KINDS = [
  "openai", "anthropic", "gemini", "vertex", "azure", "bedrock", "cohere", "cerebras", "deepinfra", "deepseek", "fireworks", "groq", "huggingface", "llamacpp",
  "lmstudio", "mistral", "nvidia", "ollama", "openrouter", "perplexity", "sambanova", "sglang", "together", "vllm", "xai",
];

interface Draft {
  name: string;
  kind: string;
  base_url: string;
  secret: "keep" | "key" | "env" | "none";
  api_key: string;
  env: string;
  options: string;
}

const draftOf = (p: Provider | undefined): Draft => ({
  name: p?.name ?? "",
  kind: p?.kind ?? "openai",
  base_url: p?.base_url ?? "",
  secret: p ? "keep" : "key",
  api_key: "",
  env: p?.key_env ?? "",
  options: p && Object.keys(p.options).length ? JSON.stringify(p.options, null, 2) : "",
});

/** What is sent: a key, a variable's name, an empty key to forget the stored one, or nothing to keep it. */
function bodyOf(d: Draft): unknown {
  const key = { keep: null, key: d.api_key || null, env: { env: d.env.trim() }, none: "" }[d.secret];
  return { kind: d.kind.trim(), base_url: d.base_url.trim(), api_key: key, options: d.options.trim() ? (JSON.parse(d.options) as unknown) : {} };
}

function wrongJson(text: string): string {
  if (!text.trim()) return "";
  try {
    const found: unknown = JSON.parse(text);
    return typeof found === "object" && found !== null && !Array.isArray(found) ? "" : "Options must be an object: { … }";
  } catch (problem) {
    return (problem as Error).message;
  }
}

function Form({ provider, onDone }: { provider: Provider | undefined; onDone: () => void }) {
  const [d, setDraft] = useState(() => draftOf(provider));
  const set = (key: keyof Draft) => (e: { target: { value: string } }) => setDraft({ ...d, [key]: e.target.value });
  const wrong = wrongJson(d.options);
  const save = useAct(
    () => api.put(path`/providers/${d.name.trim()}`, bodyOf(d)),
    () => {
      onDone();
      return "Provider saved";
    },
    { quiet: true },
  );
  return (
    <form
      onSubmit={(e) => {
        e.preventDefault();
        if (!wrong) save.mutate(undefined);
      }}
    >
      <div className="fields">
        <Field label="Name">{(id) => <input id={id} required autoFocus={!provider} disabled={!!provider} value={d.name} onChange={set("name")} />}</Field>
        <Field label="Kind">
          {(id) => (
            <>
              <input id={id} required list="provider-kinds" value={d.kind} onChange={set("kind")} />
              <datalist id="provider-kinds">
                {KINDS.map((k) => (
                  <option key={k} value={k} />
                ))}
              </datalist>
            </>
          )}
        </Field>
      </div>
      <Field label="Address" hint="Empty: the usual one of this kind">
        {(id) => <input id={id} type="url" placeholder="https://api.openai.com/v1" value={d.base_url} onChange={set("base_url")} />}
      </Field>
      <div className="fields">
        <Field label="API key">
          {(id) => (
            <select id={id} value={d.secret} onChange={set("secret")}>
              {provider && <option value="keep">{provider.has_key || provider.key_env ? "Keep it" : "None"}</option>}
              <option value="key">Enter one</option>
              <option value="env">From the server's environment</option>
              {provider?.has_key && <option value="none">Forget it</option>}
              {!provider && <option value="keep">None</option>}
            </select>
          )}
        </Field>
        {d.secret === "key" && (
          <Field label="Key">{(id) => <input id={id} type="password" autoComplete="off" required value={d.api_key} onChange={set("api_key")} />}</Field>
        )}
        {d.secret === "env" && <Field label="Variable">{(id) => <input id={id} required className="mono" placeholder="OPENAI_API_KEY" value={d.env} onChange={set("env")} />}</Field>}
      </div>
      <Field label="Options (JSON)" hint={wrong ? <span className="bad-ink">{wrong}</span> : "Headers, timeouts, limits; docs/providers.md lists them for each kind"}>
        {(id) => <textarea id={id} className="mono" rows={4} spellCheck={false} aria-invalid={!!wrong} value={d.options} onChange={set("options")} />}
      </Field>
      <Refused error={save.error as ApiError | null} />
      <div className="actions">
        <button type="button" className="button" onClick={onDone}>
          Cancel
        </button>
        <button type="submit" className="button primary" disabled={save.isPending || !!wrong}>
          Save provider
        </button>
      </div>
    </form>
  );
}

function Rows({ items, onEdit }: { items: Provider[]; onEdit: (name: string) => void }) {
  const health = useGet<Page<TargetHealth>>("/gateway/health", undefined, { every: 5_000 });
  const [going, setGoing] = useState("");
  const remove = useAct((name: string) => api.del(path`/providers/${name}`), "Provider removed");
  const test = useAct(
    (name: string) => api.post<Probe>(path`/providers/${name}/test`),
    (r, name) => toast(`${name}: ${r.message || (r.ok ? "answers" : "does not answer")} (${Math.round(r.latency_ms)} ms)`, r.ok ? "info" : "error"),
  );
  const of = (name: string) => (health.data?.items ?? []).filter((h) => h.provider === name);
  const sum = (name: string, pick: (h: TargetHealth) => number) => of(name).reduce((all, h) => all + pick(h), 0);
  return (
    <Card flush>
      <Table
        label="Providers"
        rows={items}
        keyOf={(p) => p.name}
        columns={[
          { head: "Name", cell: (p) => p.name },
          { head: "Kind", cell: (p) => p.kind },
          { head: "Address", cell: (p) => <span className="ellipsis cut" title={p.base_url || undefined}>{p.base_url || "the usual one"}</span>, mono: true },
          { head: "Key", cell: (p) => (p.key_env ? `from ${p.key_env}` : p.has_key ? "sealed" : "none") },
          { head: "In flight", cell: (p) => count(sum(p.name, (h) => h.in_flight)), num: true },
          { head: "Attempts", cell: (p) => count(sum(p.name, (h) => h.requests)), num: true },
          { head: "Failures", cell: (p) => count(sum(p.name, (h) => h.errors)), num: true },
          {
            head: "Action",
            cell: (p) => (
              <span className="row">
                <button type="button" className="button small" aria-label={`Test ${p.name}`} disabled={test.isPending} onClick={() => test.mutate(p.name)}>
                  Test
                </button>
                <button type="button" className="button small" aria-label={`Edit ${p.name}`} onClick={() => onEdit(p.name)}>
                  Edit
                </button>
                <button type="button" className="button small" aria-label={`Remove ${p.name}`} onClick={() => setGoing(p.name)}>
                  Remove
                </button>
              </span>
            ),
          },
        ]}
      />
      <Confirm open={!!going} title={`Remove ${going}?`} act="Remove provider" onYes={() => remove.mutate(going)} onNo={() => setGoing("")}>
        <p>Its key is forgotten. A provider that a route uses stays until the route lets go of it.</p>
      </Confirm>
    </Card>
  );
}

export default function Providers() {
  const [search, patch] = useSearch();
  const providers = useGet<Page<Provider>>("/providers");
  const edited = providers.data?.items.find((p) => p.name === search.edit);
  const close = () => patch({ new: undefined, edit: undefined }, { replace: true });
  return (
    <GatewayPage
      tab="providers"
      note="Who answers: services, servers of your own, and models on this machine"
      actions={
        <A className="button primary" href="/gateway/providers?new=1">
          New provider
        </A>
      }
    >
      <Ready query={providers}>
        {(page) =>
          page.items.length ? (
            <Rows items={page.items} onEdit={(name) => patch({ edit: name })} />
          ) : (
            <Empty title="No providers yet">
              <p className="muted">Add one, or write it into a file and run penstock apply. The provider local, the models deployed on this machine, is always there.</p>
            </Empty>
          )
        }
      </Ready>
      <Dialog open={search.new === "1" || !!edited} onClose={close} title={edited ? `Change ${edited.name}` : "New provider"}>
        <Form key={edited?.name ?? ""} provider={edited} onDone={close} />
      </Dialog>
    </GatewayPage>
  );
}
