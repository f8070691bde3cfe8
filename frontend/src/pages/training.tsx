import { path } from "../api/client.ts";
import type { Page, TrainingRun } from "../api/types.ts";
import { Badge, Card, Code, PageHead, Table, When } from "../components/bits.tsx";
import { Empty, Ready } from "../components/state.tsx";
import { figure, ms } from "../lib/format.ts";
import { A } from "../lib/nav.tsx";
import { useGet } from "../lib/query.ts";
import { between } from "../lib/time.ts";

export const busy = (state: string | undefined) => state === "queued" || state === "running";

const RECIPE = `# recipe.yaml
name: ticket-triage
trainer: sft
base: tiny-base@1
dataset: tickets@latest
lora: {r: 16}
epochs: 3`;

export default function Training() {
  const runs = useGet<Page<TrainingRun>>("/training/runs", undefined, { every: (d) => (d?.items.some((r) => busy(r.state)) ? 2_000 : 10_000) });
  return (
    <div className="page">
      <PageHead title="Training" />
      <Ready query={runs}>
        {(page) =>
          page.items.length ? (
            <Card flush>
              <Table
                label="Training runs"
                rows={page.items}
                keyOf={(r) => r.id}
                columns={[
                  { head: "Run", cell: (r) => <A href={path`/training/${r.id}`}>{r.name}</A> },
                  { head: "State", cell: (r) => <Badge value={r.state} /> },
                  { head: "Method", cell: (r) => r.method },
                  { head: "Base", cell: (r) => r.base || "–" },
                  { head: "Dataset", cell: (r) => r.dataset || "–" },
                  { head: "Model", cell: (r) => r.model ?? "–" },
                  { head: "Loss", cell: (r) => figure(r.metrics.loss ?? r.metrics.train_loss), num: true },
                  { head: "Took", cell: (r) => ms(between(r.started_at, r.ended_at)), num: true },
                  { head: "Started", cell: (r) => <When at={r.started_at ?? r.created_at} /> },
                ]}
              />
            </Card>
          ) : (
            <Empty title="No training runs yet">
              <p className="muted">A run is a short recipe; it works in its own process and registers a model version at the end.</p>
              <Code label="Snippet" text={`${RECIPE}\n\n# then\npenstock train run recipe.yaml`} />
            </Empty>
          )
        }
      </Ready>
    </div>
  );
}
