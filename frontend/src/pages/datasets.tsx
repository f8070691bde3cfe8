import { path } from "../api/client.ts";
import type { Dataset, Page } from "../api/types.ts";
import { Card, Code, Dialog, PageHead, Table, When } from "../components/bits.tsx";
import { PullForm } from "../components/datasets/pull.tsx";
import { UploadForm } from "../components/datasets/upload.tsx";
import { Empty, Ready } from "../components/state.tsx";
import { count } from "../lib/format.ts";
import { A, useGo, useSearch } from "../lib/nav.tsx";
import { useGet } from "../lib/query.ts";

export default function Datasets() {
  const [search, patch] = useSearch();
  const go = useGo();
  const datasets = useGet<Page<Dataset>>("/datasets");
  return (
    <div className="page">
      <PageHead title="Datasets">
        <button type="button" className="button" onClick={() => patch({ pull: "1" })}>
          Pull rows
        </button>
        <button type="button" className="button primary" onClick={() => patch({ upload: "1" })}>
          Upload a file
        </button>
      </PageHead>
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
              <p className="muted">Upload a file here, or send one; each becomes an immutable version with its profile.</p>
              <Code label="Snippet" text={`curl "${window.location.origin}/api/v1/datasets/tickets/versions?format=jsonl" \\\n  -H "Authorization: Bearer psk_YOUR_KEY" \\\n  --data-binary @tickets.jsonl`} />
            </Empty>
          )
        }
      </Ready>
      <Dialog open={search.pull === "1"} onClose={() => patch({ pull: undefined })} title="Pull rows">
        <PullForm onDone={() => patch({ pull: undefined })} />
      </Dialog>
      <Dialog open={search.upload === "1"} onClose={() => patch({ upload: undefined })} title="Upload a file" wide>
        <UploadForm onDone={(name, version) => go(path`/datasets/${name}` + (version ? `?version=${version}` : ""))} />
      </Dialog>
    </div>
  );
}
