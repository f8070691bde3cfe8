/** What runs under a deployment: replicas with what they use, their logs, how many there shall be. */
import { useContext, useState } from "react";
import { useQuery } from "@tanstack/react-query";
import { api, type ApiError, path } from "../../api/client.ts";
import type { DeploymentDetail, Page } from "../../api/types.ts";
import { bytes, figure, full } from "../../lib/format.ts";
import { A, ProjectContext, useSearch } from "../../lib/nav.tsx";
import { useAct, useGet } from "../../lib/query.ts";
import { replicasOf, type ShownReplica } from "../../lib/serving.ts";
import { Badge, Card, Code, Facts, Field, Table, When } from "../bits.tsx";
import { hrefOf } from "../lineage.tsx";
import { Empty, Ready } from "../state.tsx";

/** A share of something, drawn: a bar that is full at `of`. */
function Meter({ value, of = 100, text, label }: { value: number | null | undefined; of?: number; text: string; label: string }) {
  if (value == null) return <>–</>;
  return (
    <span className="share">
      <span className="bar-rail" role="img" aria-label={`${label} ${text}`}>
        <span style={{ width: `${Math.max(0, Math.min(1, value / of)) * 100}%` }} />
      </span>
      {text}
    </span>
  );
}

export function Replicas({ deployment }: { deployment: DeploymentDetail }) {
  const replicas = replicasOf(deployment);
  const most = Math.max(1, ...replicas.map((r) => r.memory_bytes ?? 0));
  const gaveUp = replicas.some((r) => r.state === "failed");
  const retry = useAct(() => api.post(path`/deployments/${deployment.name}/retry`), "Replicas that were given up start again");
  return (
    <>
      <Card>
        <Facts
          items={[
            ["Ready", `${full(replicas.filter((r) => r.state === "ready").length)} of ${full(replicas.length)}`],
            ["Running requests", deployment.queue && full(deployment.queue.running)],
            ["Waiting requests", deployment.queue && full(deployment.queue.waiting)],
            ["Priority", deployment.priority || null],
          ]}
        />
        {gaveUp && (
          <button type="button" className="button small spaced" disabled={retry.isPending} onClick={() => retry.mutate(undefined)}>
            Start failed replicas again
          </button>
        )}
      </Card>
      {replicas.length ? (
        <Card title="Replicas" flush>
          <Table<ShownReplica>
            label="Replicas"
            rows={replicas}
            keyOf={(r) => `${r.id} ${r.name}`}
            columns={[
              {
                head: "Replica",
                cell: (r) => (
                  <A href={`${path`/deployments/${deployment.name}`}?tab=logs&replica=${encodeURIComponent(r.id)}`} title="Its log">
                    {r.name}
                  </A>
                ),
              },
              { head: "Model", cell: (r) => r.model || "–" },
              {
                head: "State",
                cell: (r) => (
                  <span className="row">
                    <Badge value={r.state} />
                    {(r.error || r.reason) && r.state !== "ready" && <span className="small wrap bad-ink">{r.error || r.reason}</span>}
                  </span>
                ),
              },
              { head: "CPU", cell: (r) => <Meter value={r.cpu_percent} of={Math.max(100, ...replicas.map((x) => x.cpu_percent ?? 0))} text={`${figure(Math.round(r.cpu_percent ?? 0))} %`} label="CPU" />, num: true },
              { head: "Memory", cell: (r) => <Meter value={r.memory_bytes} of={most} text={bytes(r.memory_bytes)} label="Memory" />, num: true },
              { head: "GPU", cell: (r) => <Meter value={r.gpu_percent} text={`${figure(Math.round(r.gpu_percent ?? 0))} %`} label="GPU" />, num: true },
              { head: "Requests", cell: (r) => (r.running == null ? "–" : `${full(r.running)}${r.waiting ? ` + ${full(r.waiting)} waiting` : ""}`), num: true },
              { head: "Where", cell: (r) => r.place || "–" },
              { head: "Restarts", cell: (r) => full(r.restarts), num: true },
              { head: "Since", cell: (r) => <When at={r.since} /> },
            ]}
          />
        </Card>
      ) : (
        <Empty title={deployment.state === "asleep" ? "It sleeps: nothing runs until somebody calls" : "No replica runs"} />
      )}
    </>
  );
}

interface ReplicaLog {
  replica: string;
  lines: string[];
}

export function Logs({ deployment }: { deployment: DeploymentDetail }) {
  const [search, patch] = useSearch();
  const replicas = replicasOf(deployment);
  const replica = search.replica ?? replicas[0]?.id ?? "";
  const tail = search.tail ?? "200";
  const log = useGet<Page<ReplicaLog>>(path`/deployments/${deployment.name}/logs`, { replica, tail }, { every: 3_000, keep: true, enabled: !!replica });
  if (!replica) return <Empty title="No replica has a log yet" />;
  return (
    <Card
      title="Log"
      actions={
        <>
          <label className="row small">
            Replica
            <select value={replica} onChange={(e) => patch({ replica: e.target.value }, { replace: true })}>
              {!replicas.some((r) => r.id === replica) && <option value={replica}>{replica}</option>}
              {replicas.map((r) => (
                <option key={r.id} value={r.id}>
                  {r.name}
                </option>
              ))}
            </select>
          </label>
          <label className="row small">
            Lines
            <select value={tail} onChange={(e) => patch({ tail: e.target.value === "200" ? undefined : e.target.value }, { replace: true })}>
              {["200", "1000", "5000"].map((n) => (
                <option key={n}>{n}</option>
              ))}
            </select>
          </label>
        </>
      }
    >
      <Ready query={log} rows={8}>
        {(page) => {
          const lines = page.items.flatMap((i) => i.lines);
          return lines.length ? <Code text={lines.join("\n")} label="Log" max={560} /> : <p className="muted">The log is empty.</p>;
        }}
      </Ready>
    </Card>
  );
}

function Fixed({ deployment }: { deployment: DeploymentDetail }) {
  const now = replicasOf(deployment).filter((r) => r.part === "production").length;
  const [replicas, setReplicas] = useState(Math.max(1, now));
  const scale = useAct(() => api.put(path`/deployments/${deployment.name}/scale`, { replicas }), () => `${deployment.name} gets ${full(replicas)} ${replicas === 1 ? "replica" : "replicas"}`);
  return (
    <form
      onSubmit={(e) => {
        e.preventDefault();
        scale.mutate(undefined);
      }}
    >
      <Field label="Replicas">{(id) => <input id={id} type="number" min={1} max={64} required value={replicas} onChange={(e) => setReplicas(Number(e.target.value))} />}</Field>
      <button type="submit" className="button" disabled={scale.isPending}>
        Keep that many
      </button>
    </form>
  );
}

function ByLoad({ deployment }: { deployment: DeploymentDetail }) {
  const now = deployment.autoscale;
  const [min, setMin] = useState(now?.min ?? 1);
  const [max, setMax] = useState(now?.max ?? 4);
  const scale = useAct(() => api.put(path`/deployments/${deployment.name}/scale`, { min, max }), () => `${deployment.name} gets ${full(min)} to ${full(max)} replicas, by what there is to do`);
  return (
    <form
      onSubmit={(e) => {
        e.preventDefault();
        scale.mutate(undefined);
      }}
    >
      <div className="fields">
        <Field label="At least" hint="0 lets it sleep: the first caller waits while it starts">
          {(id) => <input id={id} type="number" min={0} max={max} required value={min} onChange={(e) => setMin(Number(e.target.value))} />}
        </Field>
        <Field label="At most">{(id) => <input id={id} type="number" min={Math.max(1, min)} max={64} required value={max} onChange={(e) => setMax(Number(e.target.value))} />}</Field>
      </div>
      {now && (
        <Facts
          items={[
            ["Requests a replica shall have", now.requests != null ? figure(now.requests) : null],
            ["Another one above", now.latency_ms != null ? `${figure(now.latency_ms)} ms` : null],
            ["Sleeps after", now.idle != null && now.min === 0 ? `${figure(now.idle)} s` : null],
          ]}
        />
      )}
      <button type="submit" className="button spaced" disabled={scale.isPending}>
        Scale by load
      </button>
    </form>
  );
}

function Adapters({ deployment }: { deployment: DeploymentDetail }) {
  const [name, setName] = useState("");
  const [version, setVersion] = useState("");
  const put = useAct(
    () => api.put(path`/deployments/${deployment.name}/adapters/${name}`, { model: version }),
    () => {
      setName("");
      setVersion("");
      return `${name} is served beside ${deployment.name}`;
    },
  );
  const drop = useAct((n: string) => api.del(path`/deployments/${deployment.name}/adapters/${n}`), (_t, n) => `${n} is not served any more`);
  const adapters = Object.entries(deployment.adapters ?? {});
  return (
    <>
      {adapters.length > 0 && (
        <ul className="rows">
          {adapters.map(([n, ref]) => (
            <li key={n}>
              <b>{n}</b>
              <span className="grow">
                <A href={hrefOf("model_version", ref) ?? "/models"}>{ref}</A>
              </span>
              <button type="button" className="button small" aria-label={`Remove ${n}`} disabled={drop.isPending} onClick={() => drop.mutate(n)}>
                Remove
              </button>
            </li>
          ))}
        </ul>
      )}
      <form
        className="row spaced"
        onSubmit={(e) => {
          e.preventDefault();
          put.mutate(undefined);
        }}
      >
        <input aria-label="Adapter's name" placeholder="name" size={12} required value={name} onChange={(e) => setName(e.target.value)} />
        <input className="grow" aria-label="Adapter's version" placeholder="my-adapter@1" required value={version} onChange={(e) => setVersion(e.target.value)} />
        <button type="submit" className="button" disabled={put.isPending}>
          Serve it
        </button>
      </form>
    </>
  );
}

function Manifest({ name }: { name: string }) {
  const [search, patch] = useSearch();
  const project = useContext(ProjectContext);
  const format = search.manifest ?? "";
  const manifest = useQuery<string, ApiError>({ queryKey: [project, "manifest", name, format], queryFn: ({ signal }) => api.text(path`/deployments/${name}/manifest`, { format }, signal), enabled: !!format });
  return (
    <>
      <div className="segments" role="group" aria-label="Manifest for">
        {[
          ["kubernetes", "Kubernetes"],
          ["ray", "Ray Serve"],
        ].map(([value, text]) => (
          <button key={value} type="button" aria-pressed={format === value} onClick={() => patch({ manifest: format === value ? undefined : value }, { replace: true })}>
            {text}
          </button>
        ))}
      </div>
      {format && (
        <div className="spaced">
          <Ready query={manifest} rows={6}>
            {(text) => <Code text={text} label="Manifest" max={420} />}
          </Ready>
        </div>
      )}
    </>
  );
}

export function Scale({ deployment }: { deployment: DeploymentDetail }) {
  return (
    <>
      <div className="columns">
        <Card title="A number of replicas">
          <Fixed deployment={deployment} />
        </Card>
        <Card title="As many as there is to do">
          <ByLoad deployment={deployment} />
        </Card>
      </div>
      <Card title="Adapters served beside the model">
        <Adapters deployment={deployment} />
      </Card>
      <Card title="On other machines">
        <Manifest name={deployment.name} />
      </Card>
    </>
  );
}
