/** Searches for better prompts. */
import { useState } from "react";
import { api, path } from "../../api/client.ts";
import type { Dataset, Page, PromptOptimisation } from "../../api/types.ts";
import { full, usd } from "../../lib/format.ts";
import { A, useGo, useSearch } from "../../lib/nav.tsx";
import { useAct, useGet } from "../../lib/query.ts";
import { busy } from "../../lib/runs.ts";
import { Badge, Card, Dialog, Field, Table, When } from "../bits.tsx";
import { Empty, Ready } from "../state.tsx";
import "../../loop.css";

function Form() {
  const [search] = useSearch();
  const go = useGo();
  const prompts = useGet<Page<{ name: string; versions: number; labels: Record<string, number> }>>("/prompts", undefined, { staleTime: 30_000 });
  const datasets = useGet<Page<Dataset>>("/datasets", undefined, { staleTime: 30_000 });
  const [prompt, setPrompt] = useState(search.prompt ?? "");
  const [dataset, setDataset] = useState("");
  const [metric, setMetric] = useState("exact_match");
  const [calls, setCalls] = useState(500);
  const [cost, setCost] = useState("");
  const [which, setWhich] = useState("");
  const [models, setModels] = useState("");
  const [more, setMore] = useState("");
  const [wrong, setWrong] = useState("");
  const start = useAct(
    (body: object) => api.post<PromptOptimisation>("/evals/optimisations", body),
    (made) => {
      go(path`/evaluations/optimisations/${made.id}`);
      return "The search is queued";
    },
    { quiet: true },
  );
  const submit = () => {
    try {
      const plan = JSON.parse(more.trim() || "{}") as object;
      setWrong("");
      const names = models.split(",").map((m) => m.trim()).filter(Boolean);
      const pointed = which.trim() ? (/^\d+$/.test(which.trim()) ? { version: Number(which) } : { label: which.trim() }) : {};
      start.mutate({ ...plan, prompt, ...pointed, dataset, metric, max_calls: calls, ...(names.length ? { models: names } : {}), ...(cost.trim() ? { max_cost_usd: Number(cost) } : {}) });
    } catch (e) {
      setWrong(`Not JSON: ${e instanceof Error ? e.message : String(e)}`);
    }
  };
  const listed = (label: string, value: string, set: (v: string) => void, options: string[], hint?: string) => (
    <Field label={label} hint={hint}>
      {(id) => (
        <>
          <input id={id} required list={`${id}-list`} value={value} onChange={(e) => set(e.target.value)} />
          <datalist id={`${id}-list`}>
            {options.map((o) => (
              <option key={o} value={o} />
            ))}
          </datalist>
        </>
      )}
    </Field>
  );
  return (
    <form
      onSubmit={(e) => {
        e.preventDefault();
        submit();
      }}
    >
      <div className="fields">
        {listed("Prompt", prompt, setPrompt, (prompts.data?.items ?? []).map((p) => p.name))}
        <Field label="Version or label" hint="The newest when it is empty">
          {(id) => <input id={id} value={which} onChange={(e) => setWhich(e.target.value)} />}
        </Field>
        {listed("Dataset", dataset, setDataset, (datasets.data?.items ?? []).map((d) => `${d.name}@${d.latest}`), "Rows are split: to learn, to choose, held out")}
        {listed("Metric", metric, setMetric, ["exact_match", "valid_structure"])}
        <Field label="Models" hint="With commas; those of the prompt when it is empty">
          {(id) => <input id={id} value={models} onChange={(e) => setModels(e.target.value)} />}
        </Field>
        <Field label="Calls at most">{(id) => <input id={id} type="number" min={1} required value={calls} onChange={(e) => setCalls(Number(e.target.value))} />}</Field>
        <Field label="Dollars at most">{(id) => <input id={id} inputMode="decimal" value={cost} onChange={(e) => setCost(e.target.value)} />}</Field>
      </div>
      <Field label="The rest of the plan (JSON)" hint="Scorers, judge, methods, rows, shots and their numbers; see the documentation of prompt optimisation">
        {(id) => <textarea id={id} className="mono" rows={5} value={more} onChange={(e) => setMore(e.target.value)} />}
      </Field>
      {(wrong || start.error) && (
        <div className="note bad" role="alert">
          {wrong || `${start.error!.message} ${start.error!.hint}`}
        </div>
      )}
      <div className="actions">
        <button type="submit" className="button primary" disabled={start.isPending}>
          Search for better ones
        </button>
      </div>
    </form>
  );
}

export function Optimisations() {
  const [search, patch] = useSearch();
  const jobs = useGet<Page<PromptOptimisation>>("/evals/optimisations", { prompt: search.prompt }, { every: (d) => (d?.items.some((o) => busy(o.state)) ? 3_000 : 15_000) });
  const begin = (
    <button type="button" className="button primary" onClick={() => patch({ new: "1" })}>
      Improve a prompt
    </button>
  );
  return (
    <>
      <Ready query={jobs}>
        {(page) =>
          page.items.length ? (
            <Card title="Prompt searches" flush actions={begin}>
              <Table
                label="Prompt searches"
                rows={page.items}
                keyOf={(o) => o.id}
                columns={[
                  { head: "Prompt", cell: (o) => <A href={path`/evaluations/optimisations/${o.id}`}>{o.prompt}</A> },
                  { head: "State", cell: (o) => <Badge value={o.state} /> },
                  { head: "Dataset", cell: (o) => o.dataset },
                  { head: "Metric", cell: (o) => o.metric },
                  { head: "Best", cell: (o) => o.best ?? "–" },
                  { head: "Accepted", cell: (o) => o.accepted?.prompt_version ?? "–" },
                  { head: "Calls", cell: (o) => `${full(o.spent.calls)} of ${full(o.budget.calls)}`, num: true },
                  { head: "Spent", cell: (o) => usd(o.spent.cost_usd), num: true },
                  { head: "Begun", cell: (o) => <When at={o.created_at} /> },
                ]}
              />
            </Card>
          ) : (
            <Empty title="No prompt was searched for yet">
              <p className="muted">Worked examples are picked and instructions rewritten from what went wrong; candidates race within a budget, and the figures reported come from rows nothing was chosen by.</p>
              {begin}
            </Empty>
          )
        }
      </Ready>
      <Dialog open={search.new === "1"} onClose={() => patch({ new: undefined })} title="Improve a prompt" wide>
        <Form />
      </Dialog>
    </>
  );
}
