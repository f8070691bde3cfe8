import { path } from "../api/client.ts";
import type { Deployment, Page } from "../api/types.ts";
import { Badge, Card, Code, PageHead, Table, When } from "../components/bits.tsx";
import { Empty, Ready } from "../components/state.tsx";
import { percent } from "../lib/format.ts";
import { A } from "../lib/nav.tsx";
import { useGet } from "../lib/query.ts";

export default function Deployments() {
  const deployments = useGet<Page<Deployment>>("/deployments", undefined, { every: 3_000 });
  return (
    <div className="page">
      <PageHead title="Deployments" />
      <Ready query={deployments}>
        {(page) =>
          page.items.length ? (
            <Card flush>
              <Table
                label="Deployments"
                rows={page.items}
                keyOf={(d) => d.name}
                columns={[
                  { head: "Name", cell: (d) => <A href={path`/deployments/${d.name}`}>{d.name}</A> },
                  { head: "Status", cell: (d) => <Badge value={d.status} /> },
                  { head: "Model", cell: (d) => d.model },
                  {
                    head: "Canary",
                    cell: (d) => {
                      const canary = d.targets.find((t) => t.role === "canary");
                      return canary ? `${canary.model} at ${percent(canary.weight, 0)}` : "–";
                    },
                  },
                  { head: "Engine", cell: (d) => d.engine },
                  { head: "Replicas", cell: (d) => d.replicas, num: true },
                  { head: "Changed", cell: (d) => <When at={d.updated_at ?? d.created_at} /> },
                ]}
              />
            </Card>
          ) : (
            <Empty title="Nothing is deployed">
              <p className="muted">A deployment serves a model version on this machine and gives it a name that the gateway routes to.</p>
              <Code label="Snippet" text={`penstock deploy create ticket-triage --model ticket-triage@1`} />
            </Empty>
          )
        }
      </Ready>
    </div>
  );
}
