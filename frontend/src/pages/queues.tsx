import { path } from "../api/client.ts";
import type { Page, Queue } from "../api/types.ts";
import { QueueForm } from "../components/annotate/queueform.tsx";
import { Card, Dialog, PageHead, Table, When } from "../components/bits.tsx";
import { Empty, Ready } from "../components/state.tsx";
import { full } from "../lib/format.ts";
import { A, useSearch } from "../lib/nav.tsx";
import { useGet } from "../lib/query.ts";

export const KIND_NAMES = { trace: "answers", row: "rows", pair: "pairs" } as const;

function Done({ queue }: { queue: Queue }) {
  const { items, done } = queue.progress;
  return (
    <span className="row">
      <progress aria-label={`${queue.name}: done`} max={items || 1} value={done} />
      <span className="nowrap muted">{`${full(done)} of ${full(items)}`}</span>
    </span>
  );
}

export default function Queues() {
  const [search, patch] = useSearch();
  const queues = useGet<Page<Queue>>("/queues", undefined, { every: 15_000 });
  const close = () => patch({ new: undefined, run: undefined }, { replace: true });
  return (
    <div className="page">
      <PageHead title="Annotation">
        <A href="/annotation?new=1" className="button primary">
          New queue
        </A>
      </PageHead>
      <Ready query={queues}>
        {(page) =>
          page.items.length ? (
            <Card flush>
              <Table
                label="Queues"
                rows={page.items}
                keyOf={(q) => q.name}
                columns={[
                  { head: "Queue", cell: (q) => <A href={path`/annotation/${q.name}`}>{q.name}</A> },
                  { head: "People see", cell: (q) => KIND_NAMES[q.kind] },
                  { head: "Questions", cell: (q) => q.labels.map((l) => l.name.replace(/_/g, " ")).join(", ") },
                  { head: "People per item", cell: (q) => q.overlap, num: true },
                  { head: "Done", cell: (q) => <Done queue={q} />, width: "260px" },
                  { head: "Made", cell: (q) => <When at={q.created_at} /> },
                  {
                    head: "Answer",
                    cell: (q) =>
                      q.progress.open > 0 ? (
                        <A className="button small" href={path`/annotation/${q.name}/work`} aria-label={`Annotate ${q.name}`}>
                          Annotate
                        </A>
                      ) : (
                        <span className="muted">nothing open</span>
                      ),
                  },
                ]}
              />
            </Card>
          ) : (
            <Empty title="No queues yet">
              <p className="muted">A queue puts answers, rows or pairs before people, one after the other, asks the same questions about each, and shows how far people agree. What they say becomes a dataset version.</p>
              <A className="button primary" href="/annotation?new=1">
                Make a queue
              </A>
            </Empty>
          )
        }
      </Ready>
      <Dialog open={search.new === "1"} onClose={close} title="New queue" wide>
        <QueueForm onClose={close} run={search.run} />
      </Dialog>
    </div>
  );
}
