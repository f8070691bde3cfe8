import { useContext, useEffect, useMemo, useRef, useState } from "react";
import { useInfiniteQuery } from "@tanstack/react-query";
import { useVirtualizer } from "@tanstack/react-virtual";
import { api, type ApiError, type Params } from "../api/client.ts";
import type { Page, TraceRow } from "../api/types.ts";
import { Badge, PageHead } from "../components/bits.tsx";
import { Snippets } from "../components/snippets.tsx";
import { TraceView } from "../components/spans.tsx";
import { Empty, Failure, Loading } from "../components/state.tsx";
import { TraceCharts } from "../components/tracechart.tsx";
import { count, ms, plural, usd } from "../lib/format.ts";
import { useKeys } from "../lib/keys.ts";
import { A, ProjectContext, stringifySearch, useGo, useSearch, type Search } from "../lib/nav.tsx";
import { DEFAULT_RANGE, RANGES, ago, clock, windowOf } from "../lib/time.ts";

const FILTERS = ["q", "kind", "status", "model", "provider", "route", "user", "session", "key", "tag", "min_latency_ms"] as const;
const KINDS = ["llm", "embedding", "tool", "retriever", "chain", "agent", "guard", "http", "other"];
const TEXT: [string, string][] = [["model", "Model"], ["provider", "Provider"], ["route", "Route"], ["user", "User"], ["session", "Session"], ["tag", "Tag"], ["key", "Key"], ["min_latency_ms", "Slower than (ms)"]];
const ROW = 34;

interface At {
  cursor: string;
  window: { since?: string; until?: string };
}

function useTraces(search: Search, filters: Params, paused: boolean) {
  const project = useContext(ProjectContext);
  return useInfiniteQuery<Page<TraceRow>, ApiError, { pages: Page<TraceRow>[] }, unknown[], At | null>({
    queryKey: [project, "/traces", filters, search.range ?? "", search.since ?? "", search.until ?? ""],
    initialPageParam: null,
    queryFn: ({ pageParam, signal }) => api.get("/traces", { ...filters, ...(pageParam?.window ?? windowOf(search)), cursor: pageParam?.cursor, limit: 100 }, signal),
    // Later pages keep the first page's window: "the last hour" must not slide between two pages.
    getNextPageParam: (last, _all, at) => (last.next ? { cursor: last.next, window: at?.window ?? windowOf(search) } : null),
    placeholderData: (old) => old,
    refetchInterval: (q) => (paused || (q.state.data?.pages.length ?? 0) > 1 ? false : 5_000),
  });
}

function Filters({ search, patch, box }: { search: Search; patch: ReturnType<typeof useSearch>[1]; box: React.RefObject<HTMLInputElement | null> }) {
  const [q, setQ] = useState(search.q ?? "");
  useEffect(() => setQ(search.q ?? ""), [search.q]);
  useEffect(() => {
    if (q === (search.q ?? "")) return;
    const timer = setTimeout(() => patch({ q: q || undefined, peek: undefined }, { replace: true }), 350);
    return () => clearTimeout(timer);
  }, [q, search.q, patch]);
  const [adding, setAdding] = useState("");
  const chips = TEXT.filter(([key]) => search[key]);
  const custom = search.since || search.until;
  return (
    <div className="filters" role="search" aria-label="Filter traces">
      <input ref={box} type="search" className="grow" placeholder="Search text  ( / )" aria-label="Search text in traces" value={q} onChange={(e) => setQ(e.target.value)} />
      <select aria-label="Kind" value={search.kind ?? ""} onChange={(e) => patch({ kind: e.target.value })}>
        <option value="">Any kind</option>
        {KINDS.map((k) => (
          <option key={k}>{k}</option>
        ))}
      </select>
      <select aria-label="Status" value={search.status ?? ""} onChange={(e) => patch({ status: e.target.value })}>
        <option value="">Any status</option>
        <option value="ok">ok</option>
        <option value="error">error</option>
      </select>
      <select aria-label="Add a filter" value="" onChange={(e) => setAdding(e.target.value)}>
        <option value="">+ Filter</option>
        {TEXT.filter(([key]) => !search[key]).map(([key, label]) => (
          <option key={key} value={key}>
            {label}
          </option>
        ))}
      </select>
      {adding && (
        <form
          className="chip"
          onSubmit={(e) => {
            e.preventDefault();
            patch({ [adding]: String(new FormData(e.currentTarget).get("value") ?? "").trim() });
            setAdding("");
          }}
        >
          <label>
            {TEXT.find(([k]) => k === adding)?.[1]} <input name="value" autoFocus size={14} onKeyDown={(e) => e.key === "Escape" && setAdding("")} />
          </label>
        </form>
      )}
      {chips.map(([key, label]) => (
        <button key={key} type="button" className="chip" aria-label={`Remove filter ${label} ${search[key]}`} onClick={() => patch({ [key]: undefined })}>
          {label}: <b>{search[key]}</b> <span aria-hidden="true">×</span>
        </button>
      ))}
      <select aria-label="Time range" value={custom ? "custom" : (search.range ?? DEFAULT_RANGE)} onChange={(e) => patch({ range: e.target.value === DEFAULT_RANGE ? undefined : e.target.value, since: undefined, until: undefined })}>
        {custom && <option value="custom">{`${search.since ? clock(search.since).slice(5, 16) : "…"} to ${search.until ? clock(search.until).slice(5, 16) : "now"}`}</option>}
        {RANGES.map((r) => (
          <option key={r} value={r}>
            {r === "all" ? "All time" : `Last ${r}`}
          </option>
        ))}
      </select>
      <button type="button" className="button" aria-pressed={search.live !== "0"} onClick={() => patch({ live: search.live === "0" ? undefined : "0" }, { replace: true })}>
        {search.live === "0" ? "Paused" : "Live"}
      </button>
    </div>
  );
}

function List({ rows, current, onPick, more, loadingMore }: { rows: TraceRow[]; current: string | undefined; onPick: (id: string) => void; more: () => void; loadingMore: boolean }) {
  const box = useRef<HTMLDivElement>(null);
  const v = useVirtualizer({ count: rows.length, getScrollElement: () => box.current, estimateSize: () => ROW, overscan: 10 });
  const items = v.getVirtualItems();
  const last = items[items.length - 1]?.index ?? 0;
  useEffect(() => {
    if (rows.length && last >= rows.length - 15) more();
  }, [last, rows.length, more]);
  const at = rows.findIndex((r) => r.trace_id === current);
  useEffect(() => {
    if (at >= 0) v.scrollToIndex(at, { align: "auto" });
    // Only a move of the selection scrolls; new rows must not.
  }, [current]);
  return (
    <div className="vtable" ref={box} role="table" aria-label="Traces" aria-rowcount={rows.length + 1} tabIndex={0}>
      <div className="vhead" role="rowgroup">
        <div className="vrow" role="row">
          {["Time", "Name", "Model", "Input", "Latency", "Tokens", "Cost"].map((h, i) => (
            <div key={h} role="columnheader" className={i > 3 ? "num" : undefined}>
              {h}
            </div>
          ))}
        </div>
      </div>
      <div role="rowgroup" style={{ height: v.getTotalSize(), position: "relative" }}>
        {items.map((item) => {
          const t = rows[item.index]!;
          const on = t.trace_id === current;
          return (
            <div key={t.trace_id} role="row" aria-rowindex={item.index + 2} aria-selected={on} className={on ? "vrow on" : "vrow"} style={{ transform: `translateY(${item.start}px)` }} onClick={() => onPick(t.trace_id)}>
              <div role="cell" className="muted" title={clock(t.start_ns / 1e6, true)}>
                {ago(t.start_ns / 1e6)}
              </div>
              <div role="cell" className="vname">
                <i className={t.status === "error" ? "dot bad" : t.calls ? "dot llm" : "dot"} />
                <A href={`/traces/${t.trace_id}`} className="ellipsis" title={t.name} onClick={(e) => e.stopPropagation()}>
                  {t.name}
                </A>
                {t.status === "error" && <Badge value="error" />}
              </div>
              <div role="cell" className="ellipsis" title={t.model ?? ""}>
                {t.model ?? "–"}
              </div>
              <div role="cell" className="ellipsis muted">
                {t.input_preview ?? ""}
              </div>
              <div role="cell" className="num">
                {ms(t.duration_ms)}
              </div>
              <div role="cell" className="num">
                {count(t.input_tokens + t.output_tokens)}
              </div>
              <div role="cell" className="num">
                {usd(t.cost_usd)}
              </div>
            </div>
          );
        })}
      </div>
      {loadingMore && <div className="pad muted">Loading more…</div>}
    </div>
  );
}

export default function Traces() {
  const [search, patch] = useSearch();
  const go = useGo();
  const box = useRef<HTMLInputElement>(null);
  const filters: Params = useMemo(() => Object.fromEntries(FILTERS.filter((f) => search[f]).map((f) => [f, search[f]])), [search]);
  const live = search.live !== "0";
  const peek = search.peek;
  // A slide-over must not shift under the reader's eyes, so the list waits while one is open.
  const traces = useTraces(search, filters, !live || !!peek || !!(search.since && search.until));
  const rows = useMemo(() => traces.data?.pages.flatMap((p) => p.items) ?? [], [traces.data]);
  const { hasNextPage, isFetchingNextPage, fetchNextPage } = traces;
  const more = useMemo(() => () => void (hasNextPage && !isFetchingNextPage && fetchNextPage()), [hasNextPage, isFetchingNextPage, fetchNextPage]);
  const open = (id: string | undefined) => patch({ peek: id, span: undefined, view: undefined }, { replace: true });
  const move = (by: number) => {
    const at = rows.findIndex((r) => r.trace_id === peek);
    const next = at < 0 ? 0 : Math.max(0, Math.min(rows.length - 1, at + by));
    if (rows[next]) open(rows[next].trace_id);
  };
  useKeys({
    j: () => move(1),
    k: () => move(-1),
    ArrowDown: (e) => {
      if (!peek) return;
      e.preventDefault();
      move(1);
    },
    ArrowUp: (e) => {
      if (!peek) return;
      e.preventDefault();
      move(-1);
    },
    Enter: (e) => {
      if (peek && !(e.target instanceof HTMLElement && e.target.closest("a, button"))) go(`/traces/${peek}`);
    },
    Escape: (e) => {
      if (e.target === box.current) box.current?.blur();
      else if (peek) open(undefined);
    },
    "/": (e) => {
      e.preventDefault();
      box.current?.focus();
      box.current?.select();
    },
  });
  const filtered = Object.keys(filters).length > 0 || !!search.since || !!search.until || !!search.range;
  const spanOf = peek && search.span ? stringifySearch({ span: search.span }) : "";
  return (
    <div className="page fill">
      <PageHead title="Traces" note={traces.data && <span className="muted">{plural(rows.length, "trace")}{hasNextPage ? " so far" : ""}</span>} />
      <Filters search={search} patch={patch} box={box} />
      <TraceCharts filters={filters} live={live && !peek} />
      <div className={peek ? "split" : "split single"}>
        {traces.error && !rows.length ? (
          <Failure error={traces.error} again={() => void traces.refetch()} />
        ) : traces.isPending ? (
          <Loading rows={14} />
        ) : rows.length === 0 ? (
          <Empty title={filtered ? "No trace matches" : "No traces in the last 7 days"}>
            {filtered ? (
              <p>
                <A href="/traces" className="button">
                  Clear filters
                </A>
              </p>
            ) : (
              <>
                <p className="muted">Every call through the gateway becomes a trace; any OpenTelemetry exporter can send its own.</p>
                <Snippets />
              </>
            )}
          </Empty>
        ) : (
          <List rows={rows} current={peek} onPick={(id) => open(id === peek ? undefined : id)} more={more} loadingMore={isFetchingNextPage} />
        )}
        {peek && (
          <aside className="peek" aria-label="Trace preview">
            <div className="peek-head">
              <span className="mono ellipsis">{peek}</span>
              <A className="button small" href={`/traces/${peek}${spanOf}`}>
                Full page <kbd>Enter</kbd>
              </A>
              <button type="button" className="icon-button" aria-label="Close preview" onClick={() => open(undefined)}>
                <svg viewBox="0 0 16 16" aria-hidden="true">
                  <path d="M4 4l8 8M12 4l-8 8" />
                </svg>
              </button>
            </div>
            <TraceView key={peek} traceId={peek} compact />
          </aside>
        )}
      </div>
    </div>
  );
}
