import { path } from "../api/client.ts";
import type { Experiment, Page } from "../api/types.ts";
import { Card, PageHead, Table, When } from "../components/bits.tsx";
import { More } from "../components/more.tsx";
import { SearchField } from "../components/searchfield.tsx";
import { Empty, Failure, Loading } from "../components/state.tsx";
import { NameDialog, Restore } from "../components/tracking/experimentforms.tsx";
import { HowTo } from "../components/tracking/howto.tsx";
import { full } from "../lib/format.ts";
import { A, useSearch } from "../lib/nav.tsx";
import { usePages } from "../lib/query.ts";
import { filterOf } from "../lib/tracking.ts";
import "../loop.css";

function List() {
  const [search, patch] = useSearch();
  const { q = "", state = "active" } = search;
  const found = usePages<Page<Experiment>>("/experiments", { filter: filterOf(q, "name"), state, limit: 50 }, { every: 10_000 });
  const items = found.data?.pages.flatMap((p) => p.items) ?? [];
  const filtered = !!q || state !== "active";
  if (!found.data && !found.error) return <Loading />;
  if (!items.length && !filtered && !found.error)
    return (
      <Empty title="No experiments yet">
        <p className="muted">An experiment holds the runs of any trainer or program: what they were given, what they measured, and what they left. Log one from your code:</p>
        <HowTo />
      </Empty>
    );
  return (
    <>
      <div className="filters">
        <SearchField label="Search experiments" placeholder="A part of the name, or a filter such as tags.team = 'mail'" value={q} onSearch={(wanted) => patch({ q: wanted })} />
        <select aria-label="Shown" value={state} onChange={(e) => patch({ state: e.target.value === "active" ? undefined : e.target.value })}>
          <option value="active">In use</option>
          <option value="deleted">Deleted</option>
        </select>
      </div>
      {found.error?.status === 400 ? (
        <div className="note bad" role="alert">
          {`${found.error.message} ${found.error.hint}`.trim()}
        </div>
      ) : found.error ? (
        <Failure error={found.error} again={() => void found.refetch()} />
      ) : items.length ? (
        <Card flush>
          <Table
            label="Experiments"
            rows={items}
            keyOf={(e) => e.id}
            columns={[
              { head: "Experiment", cell: (e) => <A href={path`/experiments/${e.id}`}>{e.name}</A> },
              { head: "Runs", cell: (e) => full(e.runs), num: true },
              { head: "Going on", cell: (e) => (e.running ? full(e.running) : "–"), num: true },
              { head: "Last run", cell: (e) => (e.last_run_at ? <When at={e.last_run_at} /> : "–") },
              { head: "Note", cell: (e) => <span className="muted sentence">{e.note.split("\n").find((line) => line.trim()) ?? ""}</span> },
              { head: "Made", cell: (e) => <When at={e.created_at} /> },
              ...(state === "deleted" ? [{ head: "Back", cell: (e: Experiment) => <Restore experiment={e} small /> }] : []),
            ]}
          />
          <More query={found} of="experiments" />
        </Card>
      ) : (
        <Empty title={q ? "No experiment is like that" : "Nothing is deleted"}>
          <button type="button" className="button" onClick={() => patch({ q: undefined, state: undefined })}>
            Show all experiments
          </button>
        </Empty>
      )}
    </>
  );
}

export default function Experiments() {
  const [search, patch] = useSearch();
  return (
    <div className="page">
      <PageHead title="Experiments">
        <A className="button" href="/training">
          Penstock's training runs
        </A>
        <button type="button" className="button primary" onClick={() => patch({ new: "1" })}>
          New experiment
        </button>
      </PageHead>
      <List />
      <NameDialog open={search.new === "1"} onClose={() => patch({ new: undefined })} />
    </div>
  );
}
