import { path } from "../api/client.ts";
import type { DeployedVersion, Deployment, Page } from "../api/types.ts";
import { Badge, Card, Code, Dialog, PageHead, Table, Tabs, When } from "../components/bits.tsx";
import { NewDeployment } from "../components/serving/newdeployment.tsx";
import { QuotaCards } from "../components/serving/quota.tsx";
import { Empty, Ready } from "../components/state.tsx";
import { percent } from "../lib/format.ts";
import { A, useSearch } from "../lib/nav.tsx";
import { useGet } from "../lib/query.ts";
import "../loop.css";

/** The version of a deployment that plays `role`. */
export const part = (d: Deployment, role: DeployedVersion["part"]): DeployedVersion | undefined => d.versions.find((v) => v.part === role);

export default function Deployments() {
  const [search, patch] = useSearch();
  const tab = search.tab === "quota" ? "quota" : "deployments";
  const deployments = useGet<Page<Deployment>>("/deployments", undefined, { every: 3_000 });
  return (
    <div className="page">
      <PageHead title="Deployments">
        <button type="button" className="button primary" onClick={() => patch({ new: "1" })}>
          Deploy a model
        </button>
      </PageHead>
      <Tabs
        label="Deployment views"
        current={tab}
        hrefOf={(k) => (k === "deployments" ? "/deployments" : `/deployments?tab=${k}`)}
        items={[
          ["deployments", "Deployments"],
          ["quota", "Quota"],
        ]}
      />
      <Ready query={deployments}>
        {(page) =>
          tab === "quota" ? (
            <QuotaCards deployments={page.items} />
          ) : page.items.length ? (
            <Card flush>
              <Table
                label="Deployments"
                rows={page.items}
                keyOf={(d) => d.name}
                columns={[
                  { head: "Name", cell: (d) => <A href={path`/deployments/${d.name}`}>{d.name}</A> },
                  { head: "State", cell: (d) => <Badge value={d.state} /> },
                  { head: "Model", cell: (d) => part(d, "production")?.model ?? "–" },
                  {
                    head: "Canary",
                    cell: (d) => {
                      const canary = part(d, "canary");
                      return canary ? `${canary.model} at ${percent(canary.share, 0)}` : "–";
                    },
                  },
                  { head: "Engine", cell: (d) => part(d, "production")?.engine ?? "–" },
                  { head: "Replicas", cell: (d) => part(d, "production")?.replicas.length ?? 0, num: true },
                  { head: "Changed", cell: (d) => <When at={d.updated_at} /> },
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
      <Dialog open={search.new === "1"} onClose={() => patch({ new: undefined })} title="Deploy a model">
        <NewDeployment />
      </Dialog>
    </div>
  );
}
