import { path } from "../api/client.ts";
import type { Page, Release } from "../api/types.ts";
import { Badge, Card, Dialog, PageHead, Table, When } from "../components/bits.tsx";
import { ReleaseForm } from "../components/releases/form.tsx";
import { Split } from "../components/releases/parts.tsx";
import { Empty, Ready } from "../components/state.tsx";
import { A, useGo, useSearch } from "../lib/nav.tsx";
import { useGet } from "../lib/query.ts";
import { live, sharesOf, stateText, subjectText, toneOf } from "../lib/releases.ts";
import "../loop.css";

export default function Releases() {
  const go = useGo();
  const [search, patch] = useSearch();
  const releases = useGet<Page<Release>>("/releases", undefined, { every: (d) => (d?.items.some((r) => live(r.state)) ? 5_000 : 30_000) });
  const begin = () => patch({ new: "1" });
  return (
    <div className="page">
      <PageHead title="Releases">
        <button type="button" className="button primary" onClick={begin}>
          New release
        </button>
      </PageHead>
      <Ready query={releases}>
        {(page) =>
          page.items.length ? (
            <Card flush>
              <Table
                label="Releases"
                rows={page.items}
                keyOf={(r) => r.id}
                columns={[
                  { head: "Release", cell: (r) => <A href={path`/releases/${r.id}`}>{r.name}</A> },
                  { head: "State", cell: (r) => <Badge value={stateText(r.state)} tone={toneOf(r.state)} /> },
                  { head: "Kind", cell: (r) => r.kind },
                  { head: "Of", cell: (r) => subjectText(r.subject) },
                  { head: "Traffic", cell: (r) => <Split arms={sharesOf(r)} thin /> },
                  { head: "Winner", cell: (r) => r.winner || "–" },
                  { head: "By", cell: (r) => r.author },
                  { head: "Begun", cell: (r) => <When at={r.created_at} /> },
                ]}
              />
            </Card>
          ) : (
            <Empty title="No releases yet">
              <p className="muted">A release lets a new model, prompt, route or setting meet real traffic a little at a time, watches what happens, and takes it back by itself when it does harm.</p>
              <button type="button" className="button primary" onClick={begin}>
                New release
              </button>
            </Empty>
          )
        }
      </Ready>
      <Dialog open={search.new === "1"} onClose={() => patch({ new: undefined, deployment: undefined, model: undefined })} title="New release" wide>
        <ReleaseForm onDone={(made) => go(path`/releases/${made.id}`)} />
      </Dialog>
    </div>
  );
}
