import { useState } from "react";
import { useParams } from "@tanstack/react-router";
import { api, path } from "../api/client.ts";
import type { CanaryReport, CanarySide, DeployedVersion, DeploymentDetail, Model, Page } from "../api/types.ts";
import { Badge, Card, Dialog, Facts, Field, PageHead, Tabs, When } from "../components/bits.tsx";
import { hrefOf } from "../components/lineage.tsx";
import { Logs, Replicas, Scale } from "../components/serving/parts.tsx";
import { Ready } from "../components/state.tsx";
import { count, ms, percent, usd } from "../lib/format.ts";
import { A, useGo, useSearch } from "../lib/nav.tsx";
import { part } from "./deployments.tsx";
import { useAct, useGet } from "../lib/query.ts";
import "../loop.css";

function Target({ version }: { version: DeployedVersion }) {
  const ready = version.replicas.filter((r) => r.state === "ready").length;
  const troubled = version.replicas.filter((r) => r.reason && r.state !== "ready");
  return (
    <li className="target">
      <div className="row">
        <Badge value={version.part} tone={version.part === "canary" ? "wait" : version.part === "production" ? "good" : "plain"} />
        <A href={hrefOf("model_version", version.model) ?? "/models"}>{version.model}</A>
        <span className="muted">
          version {version.number} · {version.engine} · {ready} of {version.replicas.length} replicas ready
        </span>
        <b className="push">{percent(version.share, 0)}</b>
      </div>
      <div className="weight" aria-hidden="true">
        <span style={{ width: `${version.share * 100}%` }} className={version.part} />
      </div>
      {troubled.map((r) => (
        <div key={r.position} className="note bad">
          Replica {r.position}: {r.state}, {r.reason} {r.restarts ? `(${r.restarts} restarts)` : ""}
        </div>
      ))}
    </li>
  );
}

function Side({ side }: { side: CanarySide }) {
  return (
    <Facts
      items={[
        [side.part, side.model],
        ["Calls", count(side.calls)],
        ["Errors", side.error_rate == null ? "–" : `${percent(side.error_rate)} (${percent(side.error_low)} to ${percent(side.error_high)})`],
        ["Mean latency", ms(side.mean_latency_ms)],
        ["Cost", usd(side.cost_usd)],
      ]}
    />
  );
}

function Report({ name }: { name: string }) {
  const report = useGet<CanaryReport>(path`/deployments/${name}/canary`, undefined, { every: 5_000 });
  return (
    <Card title="Canary against production">
      <Ready query={report} rows={3}>
        {(r) => (
          <div className="targets">
            <Side side={r.production} />
            <Side side={r.canary} />
            {r.more_errors && <div className="note bad">The canary fails more often than production.</div>}
          </div>
        )}
      </Ready>
    </Card>
  );
}

function Canary({ name, current }: { name: string; current: DeployedVersion | undefined }) {
  const models = useGet<Page<Model>>("/models");
  const refs = (models.data?.items ?? []).flatMap((m) => Array.from({ length: m.versions }, (_, i) => `${m.name}@${m.versions - i}`));
  const [model, setModel] = useState(current?.model ?? "");
  const [weight, setWeight] = useState(Math.round((current?.share ?? 0.1) * 100));
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

function Traffic({ deployment: d }: { deployment: DeploymentDetail }) {
  const canary = part(d, "canary");
  return (
    <>
      <Card title="Traffic">
        <ul className="targets">
          {d.versions
            .filter((v) => v.part !== "retired")
            .map((v) => (
              <Target key={v.number} version={v} />
            ))}
        </ul>
      </Card>
      {canary && <Report name={d.name} />}
      <div className="columns">
        <Card title="Canary">
          <Canary key={canary?.model} name={d.name} current={canary} />
        </Card>
        <Card title="What was done" flush>
          <ul className="rows">
            {d.history.slice(0, 12).map((h, n) => (
              <li key={n}>
                <Badge value={h.action} tone="plain" />
                <span className="grow">
                  version {h.number} <span className="muted">by {h.actor}</span>
                </span>
                <span className="muted when">
                  <When at={h.at} />
                </span>
              </li>
            ))}
          </ul>
        </Card>
      </div>
    </>
  );
}

export default function DeploymentPage() {
  const { name = "" } = useParams({ strict: false }) as { name?: string };
  const go = useGo();
  const [search] = useSearch();
  const tab = search.tab ?? "traffic";
  const deployment = useGet<DeploymentDetail>(path`/deployments/${name}`, undefined, { every: 2_000 });
  const promote = useAct(() => api.post(path`/deployments/${name}/promote`), "Promoted");
  const rollback = useAct(() => api.post(path`/deployments/${name}/rollback`), "Rolled back");
  const remove = useAct(() => api.del(path`/deployments/${name}`), () => {
    go("/deployments");
    return `${name} is removed`;
  });
  const [asking, setAsking] = useState<"promote" | "rollback" | "remove" | null>(null);
  const act = { promote, rollback, remove }[asking ?? "promote"];
  const canary = deployment.data && part(deployment.data, "canary");
  const before = deployment.data && part(deployment.data, "previous");
  const said = {
    promote: `All traffic of ${name} will go to ${canary?.model ?? "the canary"}.`,
    rollback: canary ? `The canary ${canary.model} will get no more traffic.` : `All traffic will go back to ${before?.model ?? "the version before"}.`,
    remove: `${name} will stop answering and its engines will be ended.`,
  };
  return (
    <div className="page">
      <PageHead title={name} crumbs={[["Deployments", "/deployments"]]} note={deployment.data && <Badge value={deployment.data.state} />}>
        <A className="button" href={`/playground?model=${encodeURIComponent(name)}`}>
          Try it
        </A>
        <A className="button" href={`/traces?route=${encodeURIComponent(name)}`}>
          Traces
        </A>
        <A className="button" href={`/releases?new=1&deployment=${encodeURIComponent(name)}`}>
          Release…
        </A>
        <button type="button" className="button primary" disabled={!canary} onClick={() => setAsking("promote")}>
          Promote
        </button>
        <button type="button" className="button" disabled={!canary && deployment.data?.previous == null} onClick={() => setAsking("rollback")}>
          Roll back
        </button>
        <button type="button" className="button danger" onClick={() => setAsking("remove")}>
          Remove
        </button>
      </PageHead>
      <Ready query={deployment}>
        {(d) => (
          <>
            <Tabs
              label="Deployment views"
              current={tab}
              hrefOf={(k) => (k === "traffic" ? path`/deployments/${name}` : `${path`/deployments/${name}`}?tab=${k}`)}
              items={[
                ["traffic", "Traffic"],
                ["replicas", "Replicas"],
                ["logs", "Logs"],
                ["scale", "Scale"],
              ]}
            />
            {tab === "traffic" && <Traffic deployment={d} />}
            {tab === "replicas" && <Replicas deployment={d} />}
            {tab === "logs" && <Logs deployment={d} />}
            {tab === "scale" && <Scale key={d.name} deployment={d} />}
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
