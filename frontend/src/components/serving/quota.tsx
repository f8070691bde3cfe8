/** How much of the machine the project's deployments and training runs may take, and what deployments take now. */
import { useState } from "react";
import { api } from "../../api/client.ts";
import type { Deployment, Quota, TrainingQuota } from "../../api/types.ts";
import { bytes, full } from "../../lib/format.ts";
import { useAct, useGet } from "../../lib/query.ts";
import { limitOf, takenBy } from "../../lib/serving.ts";
import { Card, Field, Table } from "../bits.tsx";
import { DraftForm } from "../draftform.tsx";
import { Ready } from "../state.tsx";

const GIB = 1024 ** 3;

interface Draft {
  replicas: string;
  gib: string;
  gpus: string;
}

function Form({ quota }: { quota: Quota }) {
  const [draft, setDraft] = useState<Draft>({ replicas: String(quota.replicas ?? ""), gib: quota.memory_bytes === null ? "" : String(quota.memory_bytes / GIB), gpus: String(quota.gpus ?? "") });
  const save = useAct((body: Quota) => api.put<Quota>("/serving/quota", body), "The quota is saved", { quiet: true });
  const read = () => {
    const gib = limitOf(draft.gib, "The memory", false);
    return { replicas: limitOf(draft.replicas, "The replicas"), memory_bytes: gib === null ? null : Math.round(gib * GIB), gpus: limitOf(draft.gpus, "The GPUs") };
  };
  const field = (label: string, key: keyof Draft, step: string) => (
    <Field label={label}>{(id) => <input id={id} type="number" min={0} step={step} placeholder="no limit" value={draft[key]} onChange={(e) => setDraft({ ...draft, [key]: e.target.value })} />}</Field>
  );
  return (
    <DraftForm read={read} sending={save} action="Save quota">
      <div className="fields">
        {field("Replicas", "replicas", "1")}
        {field("Reserved memory (GiB)", "gib", "any")}
        {field("GPUs", "gpus", "1")}
      </div>
      <p className="muted small">Empty: as much as there is. The memory holds what training runs claim too. A deployment whose replicas do not fit waits, or takes the place of one with a lower priority.</p>
    </DraftForm>
  );
}

function TrainingForm({ quota }: { quota: TrainingQuota }) {
  const [runs, setRuns] = useState(String(quota.runs ?? ""));
  const save = useAct((body: TrainingQuota) => api.put<TrainingQuota>("/training/quota", body), "The quota of training is saved", { quiet: true });
  const read = () => ({ runs: limitOf(runs, "The training runs") });
  return (
    <DraftForm read={read} sending={save} action="Save training quota">
      <Field label="Training runs at once" hint="Empty: as many as are started. The others wait for their turn.">
        {(id) => <input id={id} type="number" min={0} step="1" placeholder="no limit" value={runs} onChange={(e) => setRuns(e.target.value)} />}
      </Field>
    </DraftForm>
  );
}

/** Training beside deployments: how many runs go on at once; what they claim of the memory is in the quota above. */
function TrainingCard() {
  const quota = useGet<TrainingQuota>("/training/quota");
  return (
    <Card title="Training runs">
      <Ready query={quota} rows={2}>
        {(q) => <TrainingForm key={String(q.runs)} quota={q} />}
      </Ready>
    </Card>
  );
}

const share = (used: string, of: string | null) => (of === null ? `${used}, no limit` : `${used} of ${of}`);

export function QuotaCards({ deployments }: { deployments: Deployment[] }) {
  const quota = useGet<Quota>("/serving/quota");
  const taken = takenBy(deployments);
  const told = taken.flatMap((d) => d.memory ?? []);
  const total = { replicas: taken.reduce((n, d) => n + d.replicas, 0), memory: told.length ? told.reduce((n, m) => n + m, 0) : null };
  return (
    <Ready query={quota} rows={4}>
      {(q) => (
        <div className="columns">
          <div>
            <Card title="What this project may take">
              <Form key={JSON.stringify(q)} quota={q} />
            </Card>
            <TrainingCard />
          </div>
          <Card title="What it takes now" flush>
            {taken.length ? (
              <Table
                label="Taken"
                rows={[...taken, { name: "together", replicas: total.replicas, memory: total.memory }]}
                keyOf={(d) => d.name}
                columns={[
                  { head: "Deployment", cell: (d) => d.name },
                  { head: "Replicas", cell: (d) => (d.name === "together" ? share(full(d.replicas), q.replicas === null ? null : full(q.replicas)) : full(d.replicas)), num: true },
                  { head: "Memory in use", cell: (d) => bytes(d.memory), num: true },
                ]}
              />
            ) : (
              <p className="muted pad">Nothing is deployed.</p>
            )}
          </Card>
        </div>
      )}
    </Ready>
  );
}
