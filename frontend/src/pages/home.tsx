import type { GatewayRoute, Loop, LoopStage, Page, TraceRow } from "../api/types.ts";
import { Badge, Card, PageHead, When } from "../components/bits.tsx";
import { hrefOf } from "../components/lineage.tsx";
import { Snippets } from "../components/snippets.tsx";
import { Ready } from "../components/state.tsx";
import { count, ms, usd } from "../lib/format.ts";
import { A } from "../lib/nav.tsx";
import { useGet } from "../lib/query.ts";

interface Stop {
  key: string;
  label: string;
  one: string;
  href: string;
  kind: string;
  area: string;
}

/** The loop in the order in which work flows; the lower row runs back from right to left. */
const STOPS: Stop[] = [
  { key: "datasets", label: "Data", one: "dataset versions", href: "/datasets", kind: "dataset_version", area: "a" },
  { key: "training", label: "Training", one: "runs", href: "/training", kind: "training_run", area: "b" },
  { key: "models", label: "Models", one: "versions", href: "/models", kind: "model_version", area: "c" },
  { key: "evaluations", label: "Evaluation", one: "runs", href: "/evaluations", kind: "eval_run", area: "d" },
  { key: "gates", label: "Gate", one: "decisions", href: "/evaluations?tab=gates", kind: "eval_run", area: "e" },
  { key: "deployments", label: "Deployment", one: "live", href: "/deployments", kind: "deployment", area: "f" },
  { key: "traces", label: "Traces", one: "calls", href: "/traces", kind: "trace", area: "g" },
  { key: "feedback", label: "Feedback", one: "ratings", href: "/datasets", kind: "trace", area: "h" },
];

function Stage({ stop, stage }: { stop: Stop; stage: LoopStage | undefined }) {
  const latest = stage?.latest;
  const href = latest ? (hrefOf(stop.kind, latest.ref) ?? stop.href) : stop.href;
  return (
    <li className={`stage area-${stop.area} ${stage?.active ? "active" : ""} ${stage?.count ? "" : "idle"}`}>
      <span className="flow" aria-hidden="true" />
      <A href={stop.href} className="stage-head">
        <span>{stop.label}</span>
        <b>{count(stage?.count ?? 0)}</b>
      </A>
      <div className="stage-unit">
        {stop.one}
        {stage?.active ? <Badge value={`${stage.active} active`} tone="busy" /> : null}
      </div>
      <div className="stage-latest">
        {latest ? (
          <>
            <A href={href} className="ellipsis" title={latest.title}>
              {latest.title}
            </A>
            <span className="stage-when">
              {latest.status && <Badge value={latest.status} />}
              <When at={latest.at} />
            </span>
          </>
        ) : (
          <span className="muted">nothing yet</span>
        )}
      </div>
    </li>
  );
}

function Latest() {
  const traces = useGet<Page<TraceRow>>("/traces", { limit: 6 }, { every: 5_000 });
  return (
    <Card title="Latest calls" actions={<A href="/traces">All traces</A>} flush>
      <Ready query={traces} rows={6}>
        {(page) => (
          <ul className="rows">
            {page.items.map((t) => (
              <li key={t.trace_id}>
                <i className={t.status === "error" ? "dot bad" : t.calls ? "dot llm" : "dot"} />
                <A href={`/traces/${t.trace_id}`} className="ellipsis grow">
                  {t.name}
                  <span className="muted"> {t.model ?? ""}</span>
                </A>
                <span className="num muted">{ms(t.duration_ms)}</span>
                <span className="num muted">{usd(t.cost_usd)}</span>
                <span className="muted when">
                  <When at={t.start_ns / 1e6} />
                </span>
              </li>
            ))}
          </ul>
        )}
      </Ready>
    </Card>
  );
}

function Waiting() {
  return (
    <Card title="Waiting for the first trace">
      <p className="waiting">
        <span className="pulse" aria-hidden="true" /> This page changes by itself when the first call arrives.
      </p>
      <p className="muted">
        Nothing to call yet? <code>penstock demo</code> makes a dataset, tunes a small model on this machine, serves it and sends traffic: the whole loop in a few minutes.
      </p>
    </Card>
  );
}

export default function Home() {
  const loop = useGet<Loop>("/loop", undefined, { every: (data) => (data && !data.first_trace_at ? 1_500 : 5_000) });
  const routes = useGet<Page<GatewayRoute>>("/routes", undefined, { staleTime: 30_000 });
  return (
    <div className="page">
      <PageHead title="Home" note={<span className="muted">From data to a better model, and what came of it</span>} />
      <Ready query={loop} rows={10}>
        {(data) => (
          <>
            <section className="loop" aria-label="The loop">
              <ol>
                {STOPS.map((stop) => (
                  <Stage key={stop.key} stop={stop} stage={data.stages[stop.key]} />
                ))}
              </ol>
            </section>
            <div className="columns">
              {data.first_trace_at ? <Latest /> : <Waiting />}
              <Card title="Call it from your code">
                {routes.data && routes.data.items.length === 0 && (
                  <p className="muted">
                    No route yet: <A href="/gateway">add a provider and a route</A> first, or deploy a model.
                  </p>
                )}
                <Snippets />
              </Card>
            </div>
          </>
        )}
      </Ready>
    </div>
  );
}
