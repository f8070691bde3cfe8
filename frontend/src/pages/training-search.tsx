import { useParams } from "@tanstack/react-router";
import { api, path } from "../api/client.ts";
import type { TrainingSearch } from "../api/types.ts";
import { Badge, Card, Code, Facts, PageHead, When } from "../components/bits.tsx";
import { Ready } from "../components/state.tsx";
import { History, Importance, TradeOff, Trials } from "../components/training/trials.tsx";
import { full } from "../lib/format.ts";
import { A } from "../lib/nav.tsx";
import { useAct, useGet } from "../lib/query.ts";
import { busy, planOf } from "../lib/runs.ts";
import { writeYaml } from "../lib/yaml.ts";
import "../loop.css";

export default function TrainingSearchPage() {
  const { id = "" } = useParams({ strict: false }) as { id?: string };
  const search = useGet<TrainingSearch>(path`/training/searches/${id}`, undefined, { every: (d) => (busy(d?.state) ? 2_500 : false) });
  const stop = useAct(() => api.post(path`/training/searches/${id}/stop`), "No new trial begins; those that run are ended");
  const resume = useAct((trials: number | null) => api.post(path`/training/searches/${id}/resume`, trials ? { trials } : {}), "The search goes on where it was");
  const s = search.data;
  // One that reached its end needs more trials to go on.
  const more = s?.state === "succeeded" ? 20 : 0;
  return (
    <div className="page">
      <PageHead title={s ? `Search ${String(planOf(s).recipe.name ?? "")}` : "Search"} crumbs={[["Training", "/training"], ["Searches", "/training?tab=searches"]]} note={s && <Badge value={s.state} />}>
        {s && (
          <A className="button" href={`/training?search=${encodeURIComponent(id)}`}>
            Its runs
          </A>
        )}
        {s && busy(s.state) && (
          <button type="button" className="button danger" disabled={stop.isPending} onClick={() => stop.mutate(undefined)}>
            Stop
          </button>
        )}
        {s && !busy(s.state) && (
          <button type="button" className="button primary" disabled={resume.isPending} onClick={() => resume.mutate(more ? planOf(s).trials + more : null)}>
            {more ? `${more} more trials` : "Go on"}
          </button>
        )}
      </PageHead>
      <Ready query={search}>
        {(d) => {
          const plan = planOf(d);
          const ended = d.trials.filter((t) => t.state !== "running").length;
          const cancelled = d.trials.filter((t) => t.state === "cancelled").length;
          return (
            <>
              {d.error && (
                <div className="note bad" role="alert">
                  {d.error}
                </div>
              )}
              <Card>
                <Facts
                  items={[
                    ["Looks for", plan.objectives.map((o) => `${o.direction === "maximize" ? "most" : "least"} ${o.metric.replace(/_/g, " ")}`).join(", ")],
                    ["Trials ended", `${full(ended)} of ${full(plan.trials)}`],
                    ["Pruned", full(d.trials.filter((t) => t.state === "pruned").length)],
                    ["Cancelled", cancelled ? full(cancelled) : null],
                    ["At the same time", full(plan.parallel)],
                    ["Sampler", plan.sampler.name],
                    ["Pruner", plan.pruner.name === "none" ? null : plan.pruner.name],
                    ["Judged by", plan.suite || null],
                    ["Not beaten", d.pareto.length ? d.pareto.map((n) => `trial ${n}`).join(", ") : null],
                    ["By", d.author],
                    ["Started", <When at={d.created_at} />],
                  ]}
                />
                {busy(d.state) && <progress className="run-progress" aria-label="Search progress" max={plan.trials} value={ended} />}
              </Card>
              <div className="columns wide-left">
                <TradeOff search={d} />
                <div>
                  <Card title="What mattered">
                    <Importance search={d} />
                  </Card>
                  <Card title="Over the trials">
                    <History search={d} />
                  </Card>
                </div>
              </div>
              <Trials search={d} />
              <Card title="The recipe that was varied">
                <Code text={writeYaml(plan.recipe)} label="Recipe" max={320} />
              </Card>
            </>
          );
        }}
      </Ready>
    </div>
  );
}
