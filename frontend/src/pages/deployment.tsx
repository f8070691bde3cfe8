import { useState } from "react";
import { useParams } from "@tanstack/react-router";
import { api, path } from "../api/client.ts";
import type { Deployment, DeploymentTarget, Model, Page } from "../api/types.ts";
import { Badge, Card, Dialog, Facts, Field, PageHead, When } from "../components/bits.tsx";
import { hrefOf } from "../components/lineage.tsx";
import { Ready } from "../components/state.tsx";
import { percent } from "../lib/format.ts";
import { A, useGo } from "../lib/nav.tsx";
import { useAct, useGet } from "../lib/query.ts";

function Target({ target }: { target: DeploymentTarget }) {
  return (
    <li className="target">
      <div className="row">
        <Badge value={target.role} tone={target.role === "canary" ? "wait" : "good"} />
        <A href={hrefOf("model_version", target.model) ?? "/models"}>{target.model}</A>
        <Badge value={target.status} />
        {target.replicas != null && (
          <span className="muted">
            {target.ready_replicas ?? 0} of {target.replicas} replicas ready
          </span>
        )}
        <b className="push">{percent(target.weight, 0)}</b>
      </div>
      <div className="weight" aria-hidden="true">
        <span style={{ width: `${target.weight * 100}%` }} className={target.role} />
      </div>
      {target.error && <div className="note bad">{target.error}</div>}
    </li>
  );
}

function Canary({ name, current }: { name: string; current: DeploymentTarget | undefined }) {
  const models = useGet<Page<Model>>("/models");
  const refs = (models.data?.items ?? []).flatMap((m) => Array.from({ length: m.latest }, (_, i) => `${m.name}@${m.latest - i}`));
  const [model, setModel] = useState(current?.model ?? "");
  const [weight, setWeight] = useState(Math.round((current?.weight ?? 0.1) * 100));
  const start = useAct(() => api.post(path`/deployments/${name}/canary`, { model, weight: weight / 100 }), () => `${model} gets ${weight} % of the traffic`);
  return (
    <form
      onSubmit={(e) => {
        e.preventDefault();
        start.mutate(undefined);
      }}
    >
      <Field label="Model version">
        {(id) => (
          <select id={id} required value={model} onChange={(e) => setModel(e.target.value)}>
            <option value="">Choose…</option>
            {[...new Set([...(model ? [model] : []), ...refs])].map((r) => (
              <option key={r}>{r}</option>
            ))}
          </select>
        )}
      </Field>
      <Field label={`Share of traffic: ${weight} %`}>{(id) => <input id={id} type="range" min={0} max={100} value={weight} onChange={(e) => setWeight(Number(e.target.value))} />}</Field>
      <div className="actions">
        <button type="submit" className="button" disabled={!model || start.isPending}>
          {current ? "Change the canary" : "Start a canary"}
        </button>
      </div>
    </form>
  );
}

export default function DeploymentPage() {
  const { name = "" } = useParams({ strict: false }) as { name?: string };
  const go = useGo();
  const deployment = useGet<Deployment>(path`/deployments/${name}`, undefined, { every: 2_000 });
  const promote = useAct(() => api.post(path`/deployments/${name}/promote`), "Promoted");
  const rollback = useAct(() => api.post(path`/deployments/${name}/rollback`), "Rolled back");
  const remove = useAct(() => api.del(path`/deployments/${name}`), () => {
    go("/deployments");
    return `${name} is removed`;
  });
  const [asking, setAsking] = useState<"promote" | "rollback" | "remove" | null>(null);
  const act = { promote, rollback, remove }[asking ?? "promote"];
  const canary = deployment.data?.targets.find((t) => t.role === "canary");
  const said = {
    promote: `All traffic of ${name} will go to ${canary?.model ?? "the canary"}.`,
    rollback: canary ? `The canary ${canary.model} will get no more traffic.` : `All traffic will go back to ${deployment.data?.previous ?? "the version before"}.`,
    remove: `${name} will stop answering and its engines will be ended.`,
  };
  return (
    <div className="page">
      <PageHead title={name} crumbs={[["Deployments", "/deployments"]]} note={deployment.data && <Badge value={deployment.data.status} />}>
        <A className="button" href={`/playground?model=${encodeURIComponent(name)}`}>
          Try it
        </A>
        <A className="button" href={`/traces?route=${encodeURIComponent(name)}`}>
          Traces
        </A>
        <button type="button" className="button primary" disabled={!canary} onClick={() => setAsking("promote")}>
          Promote
        </button>
        <button type="button" className="button" disabled={!canary && !deployment.data?.previous} onClick={() => setAsking("rollback")}>
          Roll back
        </button>
        <button type="button" className="button danger" onClick={() => setAsking("remove")}>
          Remove
        </button>
      </PageHead>
      <Ready query={deployment}>
        {(d) => (
          <>
            {d.error && (
              <div className="note bad" role="alert">
                {d.error}
              </div>
            )}
            <Card title="Traffic">
              <ul className="targets">
                {d.targets.map((t) => (
                  <Target key={t.role + t.model} target={t} />
                ))}
              </ul>
            </Card>
            <div className="columns">
              <Card title="Canary">
                <Canary key={canary?.model} name={name} current={canary} />
              </Card>
              <Card title="Deployment">
                <Facts items={[["Engine", d.engine], ["Replicas", String(d.replicas)], ["Model", d.model], ["Before", d.previous], ["Made", <When at={d.created_at} />]]} />
              </Card>
            </div>
          </>
        )}
      </Ready>
      <Dialog open={asking !== null} onClose={() => setAsking(null)} title={asking === "promote" ? "Promote the canary?" : asking === "rollback" ? "Roll back?" : `Remove ${name}?`}>
        <p>{asking && said[asking]}</p>
        <div className="actions">
          <button type="button" className="button" onClick={() => setAsking(null)}>
            Keep as it is
          </button>
          <button
            type="button"
            className={asking === "remove" ? "button danger" : "button primary"}
            disabled={act.isPending}
            onClick={() => {
              act.mutate(undefined);
              setAsking(null);
            }}
          >
            {asking === "promote" ? "Promote" : asking === "rollback" ? "Roll back" : "Remove"}
          </button>
        </div>
      </Dialog>
    </div>
  );
}
