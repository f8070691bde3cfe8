import { useMemo } from "react";
import { useParams } from "@tanstack/react-router";
import { api, path } from "../api/client.ts";
import type { Experiment, Page, RunKeys, TrackedRun } from "../api/types.ts";
import { Badge, Card, Facts, PageHead, Tabs, When } from "../components/bits.tsx";
import { colorOf, Curves, CurveTools } from "../components/curves.tsx";
import { More } from "../components/more.tsx";
import { NoteCard } from "../components/note.tsx";
import { Parallel } from "../components/parallel.tsx";
import { SearchField } from "../components/searchfield.tsx";
import { Empty, Failure, Loading, Ready } from "../components/state.tsx";
import { ColumnMenu } from "../components/tracking/columnmenu.tsx";
import { DeleteDialog, NameDialog, Restore } from "../components/tracking/experimentforms.tsx";
import { MOST, namesOf, useHistories } from "../components/tracking/histories.ts";
import { HowTo } from "../components/tracking/howto.tsx";
import { RunTable } from "../components/tracking/runtable.tsx";
import { csv, save } from "../lib/csv.ts";
import { full, plural } from "../lib/format.ts";
import { A, stringifySearch, useGo, useSearch } from "../lib/nav.tsx";
import { useAct, useGet, usePages } from "../lib/query.ts";
import { readRanges, within, writeRanges } from "../lib/ranges.ts";
import { axesOf } from "../lib/runs.ts";
import { axisOf, type ColumnKey, filterOf, kindOf, linesOf, nameOf, orderOf, ownTags, readColumns, valueIn, writeColumns } from "../lib/tracking.ts";
import "../loop.css";

const STATUSES = ["running", "finished", "failed", "killed", "scheduled"];
const MOST_AXES = 10;

const compareHref = (ids: string[]) => `/experiments/compare?ids=${ids.join(",")}`;

/** What is asked of the runs, as the filter language writes it. */
function askedOf(q: string, status: string): string {
  const parts = [filterOf(q), status && `status = '${status}'`].filter(Boolean);
  return parts.join(" AND ");
}

function saved(experiment: Experiment, runs: TrackedRun[], columns: ColumnKey[]): void {
  const rows = runs.map((r) => [r.id, r.name, r.status, r.started_at, r.ended_at, r.user, ...columns.map((c) => valueIn(r, c))]);
  save(`${experiment.name}.csv`, csv([["id", "run", "status", "started", "ended", "user", ...columns.map(nameOf)], ...rows]));
}

/** What can be done with the ticked runs. */
function Ticked({ picked, hidden, deleted, done }: { picked: string[]; /** How many of them the list does not show. */ hidden: number; deleted: boolean; done: () => void }) {
  const go = useGo();
  const move = useAct(
    async () => {
      for (const id of picked) await (deleted ? api.post(path`/runs/${id}/restore`) : api.del(path`/runs/${id}`));
    },
    () => {
      done();
      return deleted ? `${plural(picked.length, "run")} restored` : `${plural(picked.length, "run")} deleted; they can be restored from the deleted ones`;
    },
  );
  if (!picked.length) return <span className="muted small">Tick runs to compare or delete them.</span>;
  return (
    <>
      {!deleted && (
        <button type="button" className="button small primary" disabled={picked.length < 2 || picked.length > MOST} title={picked.length > MOST ? `At most ${MOST}` : undefined} onClick={() => go(compareHref(picked))}>
          {picked.length < 2 ? "Compare" : `Compare ${picked.length} runs`}
        </button>
      )}
      <button type="button" className={deleted ? "button small" : "button small danger"} disabled={move.isPending} onClick={() => move.mutate(undefined)}>
        {deleted ? `Restore ${plural(picked.length, "run")}` : `Delete ${plural(picked.length, "run")}`}
      </button>
      <button type="button" className="button small" onClick={done}>
        Untick
      </button>
      {hidden > 0 && <span className="muted small">{`${full(hidden)} of them ${hidden === 1 ? "is" : "are"} not in this list`}</span>}
    </>
  );
}

function Coordinates({ runs, columns }: { runs: TrackedRun[]; columns: ColumnKey[] }) {
  const go = useGo();
  const [search, patch] = useSearch();
  const axes = columns.filter((c) => kindOf(c) !== "t").slice(0, MOST_AXES);
  const metrics = new Set(axes.filter((c) => kindOf(c) === "m").map(nameOf));
  // What was given stands on the left, what came of it on the right.
  const names = [...axes.filter((c) => kindOf(c) === "p"), ...axes.filter((c) => kindOf(c) === "m")].map((c) => axisOf(c, metrics));
  const lines = useMemo(() => linesOf(runs, namesOf(runs), axes), [runs, columns.join()]);
  const ranges = readRanges(search.only);
  const kept = within(lines, axesOf(lines, names), ranges);
  const marked = Object.keys(ranges).length > 0;
  return (
    <Card title="What the runs were given, and what they reached">
      <Parallel label="Runs" lines={lines} names={names} ranges={ranges} onRanges={(r) => patch({ only: writeRanges(r) }, { replace: true })} best={marked ? kept : undefined} onPick={(id) => go(path`/experiments/runs/${id}`)} />
      <div className="actions spaced">
        <span className="muted">{marked ? `${plural(kept.size, "run")} inside what is marked` : `${plural(lines.length, "run")}. Draw along an axis to mark a part of it; press a line to open its run.`}</span>
        {marked && (
          <>
            <button type="button" className="button small" disabled={kept.size < 2 || kept.size > MOST} onClick={() => go(compareHref([...kept]))}>
              Compare them
            </button>
            <button type="button" className="button small" onClick={() => patch({ only: undefined }, { replace: true })}>
              Unmark
            </button>
          </>
        )}
      </div>
    </Card>
  );
}

function Drawn({ runs, picked }: { runs: TrackedRun[]; picked: string[] }) {
  const [search, patch] = useSearch();
  const chosen = (picked.length ? runs.filter((r) => picked.includes(r.id)) : runs).slice(0, MOST);
  const { series, sources, names } = useHistories(chosen);
  const metric = search.metric && names.includes(search.metric) ? search.metric : "";
  const only = useMemo(() => (metric ? [metric] : names), [metric, names]);
  if (!chosen.length) return <p className="muted">No run is like that.</p>;
  return (
    <>
      <div className="filters">
        {sources.map((s, i) => (
          <span key={s.id} className="chip">
            <i className="swatch" style={{ background: `var(${colorOf(i)})` }} />
            <A href={path`/experiments/runs/${s.id}`}>{s.label}</A>
          </span>
        ))}
      </div>
      {!picked.length && runs.length > chosen.length && <p className="muted small">{`The first ${chosen.length} runs of the table are drawn; tick those that you want instead.`}</p>}
      <Card
        title="Curves"
        actions={
          <>
            <label className="row small">
              Metric
              <select value={metric} onChange={(e) => patch({ metric: e.target.value }, { replace: true })}>
                <option value="">every one</option>
                {names.map((n) => (
                  <option key={n}>{n}</option>
                ))}
              </select>
            </label>
            <CurveTools />
          </>
        }
      >
        <Ready query={series} rows={6}>
          {() => (
            <>
              <Curves sources={sources} show="learning" names={only} empty={metric ? "" : "These runs measured nothing more than once."} />
              <Curves sources={sources} show="resources" names={only} empty="" />
            </>
          )}
        </Ready>
      </Card>
    </>
  );
}

function Runs({ experiment, keys }: { experiment: Experiment; keys: RunKeys }) {
  const [search, patch] = useSearch();
  const { q = "", status = "", sort = "", state = "active", tab = "runs" } = search;
  const order = orderOf(sort);
  const url = `/runs?experiment=${encodeURIComponent(experiment.id)}${order ? `&order_by=${encodeURIComponent(order)}` : ""}`;
  const found = usePages<Page<TrackedRun>>(url, { filter: askedOf(q, status), state, limit: 100 }, { every: experiment.running ? 4_000 : 15_000 });
  const runs = useMemo(() => found.data?.pages.flatMap((p) => p.items) ?? [], [found.data]);
  const columns = readColumns(search.cols, keys);
  const picked = (search.picked ?? "").split(",").filter(Boolean);
  const pick = (ids: string[]) => patch({ picked: ids.join(",") }, { replace: true });
  const plain = !q && !status && state === "active";
  if (!found.data && !found.error) return <Loading />;
  if (!runs.length && plain && !found.error)
    return (
      <Empty title="No runs yet">
        <p className="muted">A run is one execution of a program. Log one from your code:</p>
        <HowTo experiment={experiment.name} />
      </Empty>
    );
  return (
    <>
      <div className="filters">
        <SearchField label="Search runs" placeholder="A part of the name, or metrics.loss < 0.1 AND params.rate = '0.01'" value={q} onSearch={(wanted) => patch({ q: wanted })} />
        <select aria-label="Status" value={status} onChange={(e) => patch({ status: e.target.value })}>
          <option value="">Every status</option>
          {STATUSES.map((s) => (
            <option key={s}>{s}</option>
          ))}
        </select>
        <select aria-label="Shown" value={state} onChange={(e) => patch({ state: e.target.value === "active" ? undefined : e.target.value, picked: undefined })}>
          <option value="active">In use</option>
          <option value="deleted">Deleted</option>
        </select>
        <ColumnMenu keys={keys} chosen={columns} onChosen={(c) => patch({ cols: c && writeColumns(c) }, { replace: true })} />
      </div>
      {found.error?.status === 400 ? (
        <div className="note bad" role="alert">
          {`${found.error.message} ${found.error.hint}`.trim()}
        </div>
      ) : found.error ? (
        <Failure error={found.error} again={() => void found.refetch()} />
      ) : !runs.length ? (
        <Empty title={plain ? "No runs yet" : "No run is like that"}>
          <button type="button" className="button" onClick={() => patch({ q: undefined, status: undefined, state: undefined })}>
            Show all runs
          </button>
        </Empty>
      ) : tab === "curves" ? (
        <Drawn runs={runs} picked={picked} />
      ) : tab === "coordinates" ? (
        <Coordinates runs={runs} columns={columns} />
      ) : (
        <Card flush>
          <div className="table-tools">
            <Ticked picked={picked} hidden={picked.filter((id) => !runs.some((r) => r.id === id)).length} deleted={state === "deleted"} done={() => pick([])} />
            <button type="button" className="button small" onClick={() => saved(experiment, runs, columns)}>
              Save as CSV
            </button>
          </div>
          <RunTable runs={runs} columns={columns} picked={picked} onPick={pick} sort={sort} onSort={(s) => patch({ sort: s }, { replace: true })} />
          <More query={found} of="runs" />
        </Card>
      )}
    </>
  );
}

function About({ experiment }: { experiment: Experiment }) {
  return (
    <div className="columns">
      <NoteCard note={experiment.note} of="experiment" save={(note) => api.patch(path`/experiments/${experiment.id}`, { note })} />
      <div>
        <Card title="About">
          <Facts items={[["Id", <span className="mono">{experiment.id}</span>], ["Made", <When at={experiment.created_at} />], ["Changed", <When at={experiment.updated_at} />], ...ownTags(experiment.tags)]} />
        </Card>
        <Card title="Log a run into it">
          <HowTo experiment={experiment.name} />
        </Card>
      </div>
    </div>
  );
}

function Body({ experiment }: { experiment: Experiment }) {
  const [search] = useSearch();
  const tab = search.tab ?? "runs";
  const keys = useGet<RunKeys>(path`/experiments/${experiment.id}/keys`, undefined, { every: experiment.running ? 10_000 : false });
  const { tab: _tab, ...kept } = search;
  return (
    <>
      <Tabs
        label="Experiment views"
        current={tab}
        hrefOf={(k) => path`/experiments/${experiment.id}` + stringifySearch({ ...kept, tab: k === "runs" ? undefined : k })}
        items={[
          ["runs", `Runs (${full(experiment.runs)})`],
          ["curves", "Curves"],
          ["coordinates", "Parallel coordinates"],
          ["about", "About"],
        ]}
      />
      {tab === "about" ? <About experiment={experiment} /> : <Ready query={keys}>{(k) => <Runs experiment={experiment} keys={k} />}</Ready>}
    </>
  );
}

export default function ExperimentPage() {
  const { id = "" } = useParams({ strict: false }) as { id?: string };
  const [search, patch] = useSearch();
  const found = useGet<Experiment>(path`/experiments/${id}`, undefined, { every: 10_000 });
  const experiment = found.data;
  return (
    <div className="page">
      <PageHead title={experiment?.name ?? "Experiment"} crumbs={[["Experiments", "/experiments"]]} note={experiment?.state === "deleted" ? <Badge value="deleted" tone="bad" /> : experiment?.running ? <Badge value={`${full(experiment.running)} going on`} tone="busy" /> : undefined}>
        {experiment &&
          (experiment.state === "deleted" ? (
            <Restore experiment={experiment} />
          ) : (
            <>
              <button type="button" className="button" onClick={() => patch({ rename: "1" })}>
                Rename
              </button>
              <button type="button" className="button danger" onClick={() => patch({ delete: "1" })}>
                Delete
              </button>
            </>
          ))}
      </PageHead>
      <Ready query={found}>
        {(e) => (
          <>
            <Body experiment={e} />
            <NameDialog key={e.name} open={search.rename === "1"} onClose={() => patch({ rename: undefined })} experiment={e} />
            <DeleteDialog open={search.delete === "1"} onClose={() => patch({ delete: undefined })} experiment={e} />
          </>
        )}
      </Ready>
    </div>
  );
}
