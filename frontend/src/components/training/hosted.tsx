/** Fine-tuning at a provider: rows go there, and a model with a name of theirs comes back. */
import { useState } from "react";
import { api, path } from "../../api/client.ts";
import type { Dataset, HostedJob, Page } from "../../api/types.ts";
import { useSearch } from "../../lib/nav.tsx";
import { useAct, useGet } from "../../lib/query.ts";
import { busy } from "../../lib/runs.ts";
import { Badge, Card, Dialog, Field, Table, When } from "../bits.tsx";
import { Empty, Ready } from "../state.tsx";
import { Reference } from "./parts.tsx";

function Form({ onDone }: { onDone: () => void }) {
  const providers = useGet<{ items: { name: string }[] }>("/providers", undefined, { staleTime: 30_000 });
  const datasets = useGet<Page<Dataset>>("/datasets", undefined, { staleTime: 30_000 });
  const [provider, setProvider] = useState("");
  const [model, setModel] = useState("");
  const [dataset, setDataset] = useState("");
  const [method, setMethod] = useState("sft");
  const [split, setSplit] = useState("");
  const [suffix, setSuffix] = useState("");
  const [numbers, setNumbers] = useState("");
  const [wrong, setWrong] = useState("");
  const start = useAct(
    (hyperparameters: unknown) => api.post<HostedJob>("/training/hosted", { provider, model, dataset, method, split, suffix, hyperparameters }),
    () => {
      onDone();
      return "The rows are checked and on their way";
    },
    { quiet: true },
  );
  const submit = () => {
    try {
      const given = numbers.trim() ? (JSON.parse(numbers) as unknown) : {};
      setWrong("");
      start.mutate(given);
    } catch (e) {
      setWrong(`Not JSON: ${e instanceof Error ? e.message : String(e)}`);
    }
  };
  return (
    <form
      onSubmit={(e) => {
        e.preventDefault();
        submit();
      }}
    >
      <div className="fields pairs-of-fields">
        <Field label="Provider">
          {(id) => (
            <select id={id} required value={provider} onChange={(e) => setProvider(e.target.value)}>
              <option value="">Choose…</option>
              {(providers.data?.items ?? []).map((p) => (
                <option key={p.name}>{p.name}</option>
              ))}
            </select>
          )}
        </Field>
        <Field label="Base model" hint="The provider's own name of it">
          {(id) => <input id={id} required value={model} onChange={(e) => setModel(e.target.value)} />}
        </Field>
        <Field label="Dataset">
          {(id) => (
            <>
              <input id={id} required list={`${id}-list`} value={dataset} onChange={(e) => setDataset(e.target.value)} />
              <datalist id={`${id}-list`}>
                {(datasets.data?.items ?? []).map((d) => (
                  <option key={d.name} value={`${d.name}@${d.latest}`} />
                ))}
              </datalist>
            </>
          )}
        </Field>
        <Field label="Split" hint="All rows when it is empty">
          {(id) => <input id={id} value={split} onChange={(e) => setSplit(e.target.value)} />}
        </Field>
        <Field label="Method">
          {(id) => (
            <select id={id} value={method} onChange={(e) => setMethod(e.target.value)}>
              <option value="sft">answers (SFT)</option>
              <option value="dpo">preferences (DPO)</option>
            </select>
          )}
        </Field>
        <Field label="Suffix" hint="Put into the tuned model's name">
          {(id) => <input id={id} value={suffix} onChange={(e) => setSuffix(e.target.value)} />}
        </Field>
      </div>
      <Field label="Hyper-parameters (JSON)" hint="As the provider names them, such as n_epochs">
        {(id) => <textarea id={id} className="mono" rows={3} value={numbers} onChange={(e) => setNumbers(e.target.value)} />}
      </Field>
      {(wrong || start.error) && (
        <div className="note bad" role="alert">
          {wrong || `${start.error!.message} ${start.error!.hint}`}
        </div>
      )}
      <div className="actions">
        <button type="submit" className="button primary" disabled={start.isPending}>
          Send the rows
        </button>
      </div>
    </form>
  );
}

export function Hosted() {
  const [search, patch] = useSearch();
  const jobs = useGet<Page<HostedJob>>("/training/hosted", undefined, { every: (d) => (d?.items.some((j) => busy(j.state)) ? 5_000 : 30_000) });
  const cancel = useAct((id: string) => api.post(path`/training/hosted/${id}/cancel`), "Asked the provider to stop");
  const begin = (
    <button type="button" className="button primary" onClick={() => patch({ new: "1" })}>
      Fine-tune at a provider
    </button>
  );
  return (
    <>
      <Ready query={jobs}>
        {(page) =>
          page.items.length ? (
            <Card title="At providers" flush actions={begin}>
              <Table
                label="Jobs at providers"
                rows={page.items}
                keyOf={(j) => j.id}
                columns={[
                  { head: "Provider", cell: (j) => String(j.plan.provider ?? "") },
                  { head: "Base model", cell: (j) => String(j.plan.model ?? "") },
                  {
                    head: "State",
                    cell: (j) => (
                      <span className="row">
                        <Badge value={j.state} />
                        {j.error && <span className="bad-ink small wrap">{j.error}</span>}
                      </span>
                    ),
                  },
                  { head: "Dataset", cell: (j) => <Reference kind="dataset_version" value={j.dataset} /> },
                  { head: "Tuned model", cell: (j) => j.model ?? "–", mono: true },
                  { head: "By", cell: (j) => j.author },
                  { head: "Started", cell: (j) => <When at={j.created_at} /> },
                  {
                    head: "Stop",
                    cell: (j) =>
                      busy(j.state) && (
                        <button type="button" className="button small" aria-label={`Stop ${j.id}`} disabled={cancel.isPending} onClick={() => cancel.mutate(j.id)}>
                          Stop
                        </button>
                      ),
                  },
                ]}
              />
            </Card>
          ) : (
            <Empty title="Nothing was fine-tuned at a provider">
              <p className="muted">A provider that speaks OpenAI's files and jobs can train for you: rows are checked here, sent, and the job is followed.</p>
              {begin}
            </Empty>
          )
        }
      </Ready>
      <Dialog open={search.new === "1"} onClose={() => patch({ new: undefined })} title="Fine-tune at a provider" wide>
        <Form onDone={() => patch({ new: undefined })} />
      </Dialog>
    </>
  );
}
