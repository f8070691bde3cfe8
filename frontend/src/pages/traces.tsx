import { lazy, Suspense, useContext, useEffect, useMemo, useRef, useState } from "react";
import { useInfiniteQuery } from "@tanstack/react-query";
import { api, type ApiError } from "../api/client.ts";
import type { Page, TraceRow } from "../api/types.ts";
import { PageHead } from "../components/bits.tsx";
import { Bulk, Matching } from "../components/bulk.tsx";
import { Histogram } from "../components/histogram.tsx";
import { Popover } from "../components/popover.tsx";
import { QueryBar } from "../components/querybar.tsx";
import { Snippets } from "../components/snippets.tsx";
import { Empty, Failure, Loading } from "../components/state.tsx";
import { TimeRange } from "../components/timerange.tsx";
import { TraceList } from "../components/tracelist.tsx";
import { Views } from "../components/views.tsx";
import { COLUMNS, columnsOf, columnsText, shownColumns } from "../lib/columns.ts";
import { plural } from "../lib/format.ts";
import { useKeys } from "../lib/keys.ts";
import { keepListing } from "../lib/listing.ts";
import { useNarrow } from "../lib/media.ts";
import { A, ProjectContext, stringifySearch, useGo, useSearch, type Search } from "../lib/nav.tsx";
import { type Tail, useTail } from "../lib/tail.ts";
import { windowOf } from "../lib/time.ts";
import { modern, queryOf, withTerm, wordsOf } from "../lib/traceql.ts";

/** A quarter of the page's script, and only needed once a trace is looked at. */
const TraceView = lazy(() => import("../components/spans.tsx").then((m) => ({ default: m.TraceView })));

interface At {
  cursor: string;
  window: { since?: string; until?: string };
}

function useTraces(search: Search, query: string, paused: boolean) {
  const project = useContext(ProjectContext);
  return useInfiniteQuery<Page<TraceRow>, ApiError, { pages: Page<TraceRow>[] }, unknown[], At | null>({
    queryKey: [project, "/traces", query, search.range ?? "", search.since ?? "", search.until ?? ""],
    initialPageParam: null,
    queryFn: ({ pageParam, signal }) => api.get("/traces", { query, ...(pageParam?.window ?? windowOf(search)), cursor: pageParam?.cursor, limit: 100 }, signal),
    // Later pages keep the first page's window: "the last hour" must not slide between two pages.
    getNextPageParam: (last, _all, at) => (last.next ? { cursor: last.next, window: at?.window ?? windowOf(search) } : null),
    placeholderData: (old) => old,
    refetchInterval: (q) => (paused || q.state.error || (q.state.data?.pages.length ?? 0) > 1 ? false : 5_000),
  });
}

function Columns({ keys, onChange }: { keys: string[]; onChange: (keys: string[]) => void }) {
  return (
    <Popover button="Columns" end>
      {() => (
        <fieldset className="column-list">
          <legend className="sr">Columns</legend>
          {COLUMNS.map((c) => (
            <label key={c.key} className="row">
              <input type="checkbox" checked={keys.includes(c.key)} disabled={keys.length === 1 && keys.includes(c.key)} onChange={(e) => onChange(e.target.checked ? [...keys, c.key] : keys.filter((k) => k !== c.key))} />
              {c.head}
            </label>
          ))}
          <button type="button" className="button small" onClick={() => onChange([])}>
            The usual ones
          </button>
        </fieldset>
      )}
    </Popover>
  );
}

const TAILING: Record<Tail["state"], string> = { off: "Live tail", connecting: "Connecting…", on: "Live", broken: "Reconnecting…", refused: "No tail" };

function Nothing({ filtered, search }: { filtered: boolean; search: Search }) {
  if (filtered)
    return (
      <Empty title="No trace matches">
        <p className="row">
          <A href="/traces" className="button">
            Clear filters
          </A>
          {search.range !== "all" && (
            <A href={`/traces${stringifySearch({ query: search.query, range: "all" })}`} className="button">
              Search all time
            </A>
          )}
        </p>
      </Empty>
    );
  return (
    <Empty title="No traces in the last 7 days">
      <p className="muted">Every call through the gateway becomes a trace; any OpenTelemetry exporter can send its own.</p>
      <Snippets />
    </Empty>
  );
}

/** Rows of the tail above those of the list; while `hold` is on, new ones wait. */
function useRows(pages: Page<TraceRow>[] | undefined, tail: Tail, hold: boolean) {
  const listed = useMemo(() => pages?.flatMap((p) => p.items) ?? [], [pages]);
  const [shown, setShown] = useState<TraceRow[]>([]);
  useEffect(() => {
    if (!hold || tail.rows.length === 0) setShown(tail.rows);
  }, [tail.rows, hold]);
  const rows = useMemo(() => {
    const ids = new Set(shown.map((r) => r.trace_id));
    return shown.length ? [...shown, ...listed.filter((r) => !ids.has(r.trace_id))] : listed;
  }, [shown, listed]);
  const fresh = useMemo(() => new Set(shown.map((r) => r.trace_id)), [shown]);
  const held = hold ? tail.rows.filter((r) => !fresh.has(r.trace_id)).length : 0;
  return { rows, fresh, held, release: () => setShown(tail.rows) };
}

function useTicks(rows: TraceRow[]) {
  const [ticked, setTicked] = useState<Set<string>>(new Set());
  const last = useRef<string>("");
  const tick = (id: string, range: boolean) => {
    const next = new Set(ticked);
    const on = !ticked.has(id);
    const from = range ? rows.findIndex((r) => r.trace_id === last.current) : -1;
    const to = rows.findIndex((r) => r.trace_id === id);
    const touched = from < 0 ? [id] : rows.slice(Math.min(from, to), Math.max(from, to) + 1).map((r) => r.trace_id);
    for (const each of touched) on ? next.add(each) : next.delete(each);
    last.current = id;
    setTicked(next);
  };
  const all = () => setTicked(rows.every((r) => ticked.has(r.trace_id)) ? new Set() : new Set(rows.map((r) => r.trace_id)));
  return { ticked, tick, all, clear: () => setTicked(new Set()) };
}

function Peek({ id, span, close }: { id: string; span: string | undefined; close: () => void }) {
  return (
    <aside className="peek" aria-label="Trace preview">
      <div className="peek-head">
        <span className="mono ellipsis">{id}</span>
        <A className="button small" href={`/traces/${id}${span ? stringifySearch({ span }) : ""}`}>
          Full page <kbd>Enter</kbd>
        </A>
        <button type="button" className="icon-button" aria-label="Close preview" onClick={close}>
          <svg viewBox="0 0 16 16" aria-hidden="true">
            <path d="M4 4l8 8M12 4l-8 8" />
          </svg>
        </button>
      </div>
      <Suspense fallback={<Loading rows={6} />}>
        <TraceView key={id} traceId={id} compact />
      </Suspense>
    </aside>
  );
}

interface ListKeys {
  rows: TraceRow[];
  peek: string | undefined;
  open: (id: string | undefined, span?: string) => void;
  tick: (id: string, range: boolean) => void;
  clear: () => void;
  box: React.RefObject<HTMLInputElement | null>;
}

function useListKeys({ rows, peek, open, tick, clear, box }: ListKeys) {
  const go = useGo();
  const move = (by: number) => {
    const at = rows.findIndex((r) => r.trace_id === peek);
    const next = rows[at < 0 ? 0 : Math.max(0, Math.min(rows.length - 1, at + by))];
    if (next) open(next.trace_id, next.snippet?.span_id);
  };
  const arrow = (by: number) => (e: KeyboardEvent) => {
    if (!peek) return;
    e.preventDefault();
    move(by);
  };
  useKeys({
    j: () => move(1),
    k: () => move(-1),
    x: () => peek && tick(peek, false),
    ArrowDown: arrow(1),
    ArrowUp: arrow(-1),
    Enter: (e) => {
      if (peek && !(e.target instanceof HTMLElement && e.target.closest("a, button, input"))) go(`/traces/${peek}`);
    },
    Escape: (e) => {
      if (e.target === box.current) box.current?.blur();
      else if (peek) open(undefined);
      else clear();
    },
    "/": (e) => {
      e.preventDefault();
      box.current?.focus();
      box.current?.select();
    },
  });
}

export default function Traces() {
  const [search, patch] = useSearch();
  const project = useContext(ProjectContext);
  const box = useRef<HTMLInputElement>(null);
  const narrow = useNarrow();
  const query = queryOf(search);
  const old = modern(search);
  useEffect(() => {
    if (old) patch(old, { replace: true });
  });
  const peek = search.peek;
  const live = search.live === "1";
  const [top, setTop] = useState(true);
  const tail = useTail(query, project, live);
  // A slide-over must not shift under the reader's eyes, so the list waits while one is open.
  const traces = useTraces(search, query, live || !top || !!peek || !!(search.since && search.until));
  const { rows, fresh, held, release } = useRows(traces.data?.pages, tail, !!peek || !top);
  const ticks = useTicks(rows);
  const { hasNextPage, isFetchingNextPage, fetchNextPage } = traces;
  const more = useMemo(() => () => void (hasNextPage && !isFetchingNextPage && fetchNextPage()), [hasNextPage, isFetchingNextPage, fetchNextPage]);
  const open = (id: string | undefined, span?: string) => patch({ peek: id, span, view: search.view, show: undefined }, { replace: true });
  const ask = (next: string) => patch({ query: next || undefined, peek: undefined });
  useEffect(() => keepListing(rows.map((r) => r.trace_id), window.location.pathname + window.location.search), [rows]);
  useListKeys({ rows, peek, open, tick: ticks.tick, clear: ticks.clear, box });
  const keys = columnsOf(search.columns);
  const words = useMemo(() => wordsOf(query), [query]);
  const wrong = traces.error && (traces.error.status === 400 || traces.error.status === 422) ? traces.error : null;
  const ids = useMemo(() => rows.map((r) => r.trace_id).filter((id) => ticks.ticked.has(id)), [rows, ticks.ticked]);
  return (
    <div className="page fill">
      <PageHead title="Traces" note={traces.data && !wrong && <span className="muted">{plural(rows.length, "trace")}{hasNextPage ? " so far" : ""}</span>}>
        <Matching asked={() => ({ query, ...windowOf(search) })} />
      </PageHead>
      <div className="filters">
        <QueryBar value={query} onChange={ask} error={wrong} box={box} />
        <Views query={query} columns={keys} current={search.view} range={search.range} onName={(name) => patch({ view: name }, { replace: true })} />
        <Columns keys={keys} onChange={(next) => patch({ columns: columnsText(next) }, { replace: true })} />
        <TimeRange />
        <button type="button" className={`button tail ${tail.state}`} aria-pressed={live} title={tail.said || "Show traces as they arrive"} onClick={() => patch({ live: live ? undefined : "1" }, { replace: true })}>
          <i aria-hidden="true" /> {TAILING[tail.state]}
        </button>
      </div>
      {!wrong && <Histogram query={query} live={!peek} />}
      {ids.length > 0 && <Bulk ids={ids} clear={ticks.clear} />}
      <div className={peek ? "split" : "split single"}>
        {wrong ? (
          <Empty title="The query cannot be read">
            <p className="muted">{wrong.message}</p>
          </Empty>
        ) : traces.error && !rows.length ? (
          <Failure error={traces.error} again={() => void traces.refetch()} />
        ) : traces.isPending ? (
          <Loading rows={14} />
        ) : rows.length === 0 ? (
          <Nothing filtered={!!query || !!search.since || !!search.until || !!search.range} search={search} />
        ) : (
          <div className="list-box">
            {tail.skipped > 0 && <p className="note" role="note">{`${plural(tail.skipped, "trace")} arrived too fast to be shown one by one; a narrower query shows all.`}</p>}
            {held > 0 && (
              <button type="button" className="button small held" onClick={release}>
                Show {plural(held, "new trace")}
              </button>
            )}
            <TraceList
              rows={rows}
              columns={shownColumns(keys, narrow || !!peek)}
              words={words}
              current={peek}
              fresh={fresh}
              ticked={ticks.ticked}
              onTick={ticks.tick}
              onTickAll={ticks.all}
              onPick={(t) => open(t.trace_id === peek ? undefined : t.trace_id, t.snippet?.span_id)}
              onFilter={(field, value, not) => ask(withTerm(query, field, value, { not }))}
              onTop={setTop}
              more={more}
              loadingMore={isFetchingNextPage}
            />
          </div>
        )}
        {peek && <Peek id={peek} span={search.span} close={() => open(undefined)} />}
      </div>
    </div>
  );
}
