import { useState } from "react";
import { useParams } from "@tanstack/react-router";
import { api, path } from "../api/client.ts";
import type { PromptCandidate, PromptOptimisationDetail } from "../api/types.ts";
import { Badge, Card, Code, Dialog, Facts, Field, PageHead, When } from "../components/bits.tsx";
import { hrefOf } from "../components/lineage.tsx";
import { Scatter } from "../components/scatter.tsx";
import { Ready } from "../components/state.tsx";
import { figure, full, percent, usd } from "../lib/format.ts";
import { A, useGo, useSearch } from "../lib/nav.tsx";
import { useAct, useGet } from "../lib/query.ts";
import { busy } from "../lib/runs.ts";
import "../loop.css";

const METHOD: Record<string, string> = { start: "the prompt itself", few_shot: "examples", rewrite: "rewritten", cross: "crossed" };
const interval = (low: number | null | undefined, high: number | null | undefined) => (low == null || high == null ? "" : `${figure(low)} to ${figure(high)}`);

function writeCost(unit: string | undefined): (n: number) => string {
  return unit === "USD" ? usd : (n) => `${figure(n)}${unit ? ` ${unit}` : ""}`;
}

function Gain({ candidate }: { candidate: PromptCandidate }) {
  const g = candidate.gain;
  if (!g) return <>–</>;
  return (
    <span className={g.verdict === "better" ? "good-ink" : g.verdict === "worse" ? "bad-ink" : undefined} title={`p (Holm) ${g.p_adjusted.toFixed(3)}`}>
      {g.difference > 0 ? "+" : ""}
      {figure(g.difference)} <span className="small">({interval(g.low, g.high)})</span>
    </span>
  );
}

function Candidates({ job, picked, onPick }: { job: PromptOptimisationDetail; picked: string; onPick: (id: string) => void }) {
  const write = writeCost(job.cost_unit);
  return (
    <div className="table-scroll" tabIndex={0} role="region" aria-label="Candidates">
      <table>
        <thead>
          <tr>
            <th scope="col">Candidate</th>
            <th scope="col">How</th>
            <th scope="col">From</th>
            <th scope="col" className="num">
              While choosing
            </th>
            <th scope="col" className="num">
              Held out
            </th>
            <th scope="col">Against the start</th>
            <th scope="col">Verdict</th>
            <th scope="col" className="num">
              Cost of an answer
            </th>
          </tr>
        </thead>
        <tbody>
          {job.candidates.map((c) => (
            <tr key={c.id} className={picked === c.id ? "on" : undefined} aria-current={picked === c.id ? "true" : undefined}>
              <td>
                <span className="row">
                  <button type="button" className="link" onClick={() => onPick(c.id)}>
                    {c.id}
                  </button>
                  {job.best === c.id && <Badge value="best" tone="good" />}
                  {job.pareto.includes(c.id) && job.best !== c.id && <Badge value="not beaten" tone="plain" />}
                  {c.dropped && <Badge value="dropped" tone="plain" />}
                </span>
              </td>
              <td>
                {METHOD[c.method] ?? c.method}
                {c.shots ? <span className="muted">{` · ${full(c.shots)} examples`}</span> : null}
              </td>
              <td>{(c.parents?.length ? c.parents : c.parent ? [c.parent] : []).join(", ") || "–"}</td>
              <td className="num">{figure(c.selection?.value)}</td>
              <td className="num" title={interval(c.low, c.high)}>
                {figure(c.score)}
              </td>
              <td>
                <Gain candidate={c} />
              </td>
              <td>{c.gain ? <Badge value={c.gain.verdict} tone={c.gain.verdict === "better" ? "good" : c.gain.verdict === "worse" ? "bad" : "plain"} /> : "–"}</td>
              <td className="num">{c.cost ? write(c.cost.value) : usd(c.cost_usd)}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

function Chosen({ candidate }: { candidate: PromptCandidate }) {
  return (
    <Card title={`Candidate ${candidate.id}`}>
      <Facts
        items={[
          ["Held out", candidate.score === null ? null : `${figure(candidate.score)} (${interval(candidate.low, candidate.high)}), ${full(candidate.n)} rows`],
          ["Model", candidate.model],
          ["Became", candidate.prompt_version ? <A href={hrefOf("prompt_version", candidate.prompt_version) ?? "/prompts"}>{candidate.prompt_version}</A> : null],
        ]}
      />
      {candidate.note && <p className="muted spaced">{candidate.note}</p>}
      {candidate.instruction && (
        <div className="spaced">
          <Code text={candidate.instruction} label="Instruction" max={420} />
        </div>
      )}
    </Card>
  );
}

function Accept({ job, candidate, onClose }: { job: PromptOptimisationDetail; candidate: PromptCandidate; onClose: () => void }) {
  const [note, setNote] = useState("");
  const go = useGo();
  const accept = useAct(
    () => api.post<{ prompt_version: string }>(path`/evals/optimisations/${job.id}/accept`, { candidate: candidate.id, note }),
    (made) => {
      onClose();
      go(hrefOf("prompt_version", made.prompt_version) ?? "/prompts");
      return `${candidate.id} is ${made.prompt_version} now; labels stay where they are`;
    },
  );
  return (
    <form
      onSubmit={(e) => {
        e.preventDefault();
        accept.mutate(undefined);
      }}
    >
      <p>
        {candidate.id} becomes a new version of {job.prompt.split("@")[0]}; no label moves, so nothing that runs changes.
      </p>
      {candidate.gain?.verdict !== "better" && (
        <div className="note bad">{candidate.gain ? `On the held-out rows it is ${candidate.gain.verdict === "worse" ? "worse than the prompt it began from" : "not shown to be better than the prompt it began from"}.` : "It was not measured on the held-out rows."}</div>
      )}
      <Field label="What changed">{(id) => <input id={id} value={note} onChange={(e) => setNote(e.target.value)} />}</Field>
      <div className="actions">
        <button type="submit" className="button primary" disabled={accept.isPending}>
          Make it a version
        </button>
      </div>
    </form>
  );
}

function Body({ job }: { job: PromptOptimisationDetail }) {
  const [search, patch] = useSearch();
  const picked = job.candidates.find((c) => c.id === (search.candidate ?? job.best)) ?? job.candidates[0];
  const write = writeCost(job.cost_unit);
  const dots = job.candidates.flatMap((c) => {
    const cost = c.cost?.value ?? c.cost_usd;
    return c.score === null || cost === null ? [] : [{ id: c.id, label: c.id, x: cost, y: c.score, low: c.low, high: c.high, tone: job.best === c.id ? ("chosen" as const) : ("plain" as const) }];
  });
  const start = job.candidates.find((c) => c.method === "start");
  return (
    <>
      {job.error && (
        <div className="note bad" role="alert">
          {job.error}
        </div>
      )}
      <Card>
        <Facts
          items={[
            ["Prompt", <A href={hrefOf("prompt_version", job.prompt) ?? "/prompts"}>{job.prompt}</A>],
            ["Dataset", <A href={hrefOf("dataset_version", job.dataset) ?? "/datasets"}>{job.dataset}</A>],
            ["Metric", job.metric],
            ["Stage", busy(job.state) ? job.stage?.replace(/_/g, " ") : null],
            ["Calls", `${full(job.spent.calls)} of ${full(job.budget.calls)} (${percent(job.budget.calls ? job.spent.calls / job.budget.calls : 0, 0)})`],
            ["Spent", `${usd(job.spent.cost_usd)}${job.budget.cost_usd != null ? ` of ${usd(job.budget.cost_usd)}` : ""}`],
            ["Perhaps lost", job.spent.lost ? `${full(job.spent.lost)} calls` : null],
            ["Accepted", job.accepted?.prompt_version ? <A href={hrefOf("prompt_version", job.accepted.prompt_version) ?? "/prompts"}>{job.accepted.prompt_version}</A> : null],
            ["Begun", <When at={job.created_at} />],
          ]}
        />
        {busy(job.state) && <progress className="run-progress" aria-label="Budget used" max={job.budget.calls || 1} value={job.spent.calls} />}
      </Card>
      {dots.length > 0 && (
        <Card title="Quality against cost">
          <Scatter label="Quality against cost" dots={dots} x={{ name: `Cost of an answer${job.cost_unit ? ` (${job.cost_unit})` : ""}`, direction: "minimize", write }} y={{ name: job.metric.replace(/_/g, " "), direction: "maximize", write: figure }} line={start?.score != null ? { at: start.score, text: "the prompt it began from" } : undefined} picked={picked?.id} onPick={(id) => patch({ candidate: id }, { replace: true })} />
        </Card>
      )}
      <Card title="Candidates" flush>
        {job.candidates.length ? <Candidates job={job} picked={picked?.id ?? ""} onPick={(id) => patch({ candidate: id }, { replace: true })} /> : <p className="muted pad">Nothing was tried yet.</p>}
      </Card>
      {picked && <Chosen candidate={picked} />}
      {picked && (
        <Dialog open={search.accept === "1"} onClose={() => patch({ accept: undefined })} title="Make it a version">
          <Accept job={job} candidate={picked} onClose={() => patch({ accept: undefined })} />
        </Dialog>
      )}
    </>
  );
}

export default function OptimisationPage() {
  const { id = "" } = useParams({ strict: false }) as { id?: string };
  const [search, patch] = useSearch();
  const job = useGet<PromptOptimisationDetail>(path`/evals/optimisations/${id}`, undefined, { every: (d) => (busy(d?.state) ? 2_500 : false) });
  const stop = useAct(() => api.post(path`/evals/optimisations/${id}/stop`), "It stops; what was answered is kept");
  const resume = useAct(() => api.post(path`/evals/optimisations/${id}/resume`), "It goes on; what was answered is not paid for again");
  const d = job.data;
  const which = search.candidate ?? d?.best;
  return (
    <div className="page">
      <PageHead title={d ? `Better ${d.prompt.split("@")[0]}` : "Prompt search"} crumbs={[["Evaluations", "/evaluations"], ["Prompt searches", "/evaluations?tab=optimise"]]} note={d && <Badge value={d.state} />}>
        {d && busy(d.state) && (
          <button type="button" className="button danger" disabled={stop.isPending} onClick={() => stop.mutate(undefined)}>
            Stop
          </button>
        )}
        {d && (d.state === "failed" || d.state === "cancelled") && (
          <button type="button" className="button" disabled={resume.isPending} onClick={() => resume.mutate(undefined)}>
            Go on
          </button>
        )}
        {which && !d?.accepted && (
          <button type="button" className="button primary" onClick={() => patch({ accept: "1" })}>
            Accept {which}
          </button>
        )}
      </PageHead>
      <Ready query={job}>{(o) => <Body job={o} />}</Ready>
    </div>
  );
}
