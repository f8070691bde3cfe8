import { path } from "../api/client.ts";
import type { Dataset, Page } from "../api/types.ts";
import { Card, Code, PageHead, Table, When } from "../components/bits.tsx";
import { Empty, Ready } from "../components/state.tsx";
import { count } from "../lib/format.ts";
import { A } from "../lib/nav.tsx";
import { useGet } from "../lib/query.ts";

export default function Datasets() {
  const datasets = useGet<Page<Dataset>>("/datasets");
  return (
    <div className="page">
      <PageHead title="Datasets" />
      <Ready query={datasets}>
        {(page) =>
          page.items.length ? (
            <Card flush>
              <Table
                label="Datasets"
                rows={page.items}
                keyOf={(d) => d.name}
                columns={[
                  { head: "Name", cell: (d) => <A href={path`/datasets/${d.name}`}>{d.name}</A> },
                  { head: "Description", cell: (d) => <span className="muted">{d.description}</span> },
                  { head: "Version", cell: (d) => d.latest, num: true },
                  { head: "Rows", cell: (d) => count(d.rows), num: true },
                  { head: "Made", cell: (d) => <When at={d.created_at} /> },
                ]}
              />
            </Card>
          ) : (
            <Empty title="No datasets yet">
              <p className="muted">Send a JSONL file; each upload becomes an immutable version with its profile.</p>
              <Code label="Snippet" text={`curl "${window.location.origin}/api/v1/datasets/tickets/versions?format=jsonl" \\\n  -H "Authorization: Bearer psk_YOUR_KEY" \\\n  --data-binary @tickets.jsonl`} />
            </Empty>
          )
        }
      </Ready>
    </div>
  );
}
