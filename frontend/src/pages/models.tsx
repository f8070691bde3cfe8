import { path } from "../api/client.ts";
import type { Model, Page } from "../api/types.ts";
import { Card, Code, PageHead, Table, When } from "../components/bits.tsx";
import { Empty, Ready } from "../components/state.tsx";
import { A } from "../lib/nav.tsx";
import { useGet } from "../lib/query.ts";
import { Labels } from "./prompts.tsx";

export default function Models() {
  const models = useGet<Page<Model>>("/models");
  return (
    <div className="page">
      <PageHead title="Models" />
      <Ready query={models}>
        {(page) =>
          page.items.length ? (
            <Card flush>
              <Table
                label="Models"
                rows={page.items}
                keyOf={(m) => m.name}
                columns={[
                  { head: "Name", cell: (m) => <A href={path`/models/${m.name}`}>{m.name}</A> },
                  { head: "Aliases", cell: (m) => <Labels labels={m.aliases} /> },
                  { head: "Description", cell: (m) => <span className="muted">{m.description}</span> },
                  { head: "Versions", cell: (m) => m.versions, num: true },
                  { head: "Made", cell: (m) => <When at={m.created_at} /> },
                ]}
              />
            </Card>
          ) : (
            <Empty title="No models yet">
              <p className="muted">A training run registers its result here, with checksums, a card and its lineage.</p>
              <Code label="Snippet" text={`penstock train run recipe.yaml\npenstock models list`} />
            </Empty>
          )
        }
      </Ready>
    </div>
  );
}
