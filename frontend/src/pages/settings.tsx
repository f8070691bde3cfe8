import type { Audit, Me, Page } from "../api/types.ts";
import { Card, Facts, PageHead, Table, Tabs, When } from "../components/bits.tsx";
import { Correcting } from "../components/correcting.tsx";
import { Keeping } from "../components/keeping.tsx";
import { Empty, Ready } from "../components/state.tsx";
import { useSearch } from "../lib/nav.tsx";
import { useGet } from "../lib/query.ts";

const TABS: [string, string][] = [["audit", "Audit log"], ["keeping", "Traces that are kept"], ["correcting", "Import & correct"], ["about", "About"]];

function AuditLog() {
  const audit = useGet<Page<Audit>>("/audit", { limit: 100 });
  return (
    <Card title="Audit log" flush>
      <Ready query={audit}>
        {(page) =>
          page.items.length ? (
            <Table
              label="Audit log"
              rows={page.items}
              keyOf={(a) => String(a.number)}
              columns={[
                { head: "When", cell: (a) => <When at={a.at} /> },
                { head: "Who", cell: (a) => a.actor_name },
                { head: "What", cell: (a) => a.action, mono: true },
                { head: "On", cell: (a) => a.target, mono: true },
              ]}
            />
          ) : (
            <Empty title="Nothing is recorded yet" />
          )
        }
      </Ready>
    </Card>
  );
}

function About() {
  const me = useGet<Me>("/me");
  return (
    <Card title="About">
      <Facts
        items={[
          ["Version", me.data?.version],
          ["Address", <span className="mono">{window.location.origin}</span>],
          ["Signed in as", me.data && `${me.data.name} (${me.data.role})`],
          ["Management API", <span className="mono">{`${window.location.origin}/api/v1`}</span>],
          ["Gateway", <span className="mono">{`${window.location.origin}/v1`}</span>],
          ["OpenTelemetry", <span className="mono">{`${window.location.origin}/v1/traces`}</span>],
        ]}
      />
    </Card>
  );
}

export default function Settings() {
  const [search] = useSearch();
  const tab = TABS.some(([key]) => key === search.tab) ? search.tab! : "audit";
  return (
    <div className="page">
      <PageHead title="Settings" />
      <Tabs label="Settings" current={tab} items={TABS} hrefOf={(k) => `/settings?tab=${k}`} />
      {tab === "audit" && <AuditLog />}
      {tab === "keeping" && <Keeping />}
      {tab === "correcting" && <Correcting />}
      {tab === "about" && <About />}
    </div>
  );
}
