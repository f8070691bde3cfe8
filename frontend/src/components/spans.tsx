/** One trace: as a tree, a waterfall or a conversation, and the chosen span beside it. */
import { lazy, Suspense, useContext, useEffect, useMemo, useRef, useState } from "react";
import { useVirtualizer } from "@tanstack/react-virtual";
import { useQuery } from "@tanstack/react-query";
import type { ApiError } from "../api/client.ts";
import type { Span } from "../api/types.ts";
import { count, full, ms, plural, usd } from "../lib/format.ts";
import { useKeys } from "../lib/keys.ts";
import { A, ProjectContext, stringifySearch, useSearch } from "../lib/nav.tsx";
import { type Read, readTrace } from "../lib/outline.ts";
import { extent, found, type Row, ticks, tree, uncounted, unfolded } from "../lib/spans.ts";
import { clock } from "../lib/time.ts";
import { Facts, Partial, Tabs } from "./bits.tsx";
import { hrefOf } from "./lineage.tsx";
import { SpanView } from "./spandetail.tsx";
import { Loading, Ready } from "./state.tsx";

const Conversation = lazy(() => import("./conversation.tsx").then((m) => ({ default: m.Conversation })));

const ROW = 28;
const DEEPEST = 14;

interface ListProps {
  rows: Row[];
  kind: "tree" | "waterfall";
  from: number;
  length: number;
  current: string;
  folded: Set<string>;
  onFold: (id: string) => void;
  onPick: (id: string) => void;
}

function Marks({ span }: { span: Span }) {
  const why = uncounted(span);
  return why ? (
    <span className="badge plain" title={why}>
      {span.duplicate_of ? "duplicate" : "not counted"}
    </span>
  ) : null;
}

function Rail({ span, from, length }: { span: Span; from: number; length: number }) {
  const left = ((span.start_ns - from) / length) * 100;
  const width = ((span.end_ns - span.start_ns) / length) * 100;
  return (
    <span className="span-rail" aria-hidden="true">
      <span className={`span-bar ${span.status === "error" ? "bad" : span.kind}`} style={{ left: `${Math.min(99.4, Math.max(0, left))}%`, width: `${Math.max(0.6, Math.min(100 - left, width))}%` }} />
      {span.ttft_ns != null && span.ttft_ns < span.end_ns - span.start_ns && <span className="span-first" style={{ left: `${Math.min(99.6, left + (span.ttft_ns / length) * 100)}%` }} />}
    </span>
  );
}

function SpanList({ rows, kind, from, length, current, folded, onFold, onPick }: ListProps) {
  const box = useRef<HTMLDivElement>(null);
  const v = useVirtualizer({ count: rows.length, getScrollElement: () => box.current, estimateSize: () => ROW, overscan: 12 });
  const at = useMemo(() => rows.findIndex((r) => r.span.span_id === current), [rows, current]);
  useEffect(() => {
    if (at >= 0) v.scrollToIndex(at, { align: "auto" });
    // A link to a span, and n and p, bring it into sight; folding must not.
  }, [current, kind]);
  return (
    <div className={`waterfall ${kind}`} ref={box} tabIndex={0} role="region" aria-label="Spans">
      {kind === "waterfall" && (
        <div className="axis" aria-hidden="true">
          <span />
          <span className="axis-rail">
            {ticks(length, 4).map((t) => (
              <i key={t} style={{ left: `${(t / length) * 100}%` }}>
                {ms(t / 1e6)}
              </i>
            ))}
          </span>
          <span />
        </div>
      )}
      <ol style={{ height: v.getTotalSize() }}>
        {v.getVirtualItems().map((item) => {
          const { span, depth, below } = rows[item.index]!;
          return (
            <li key={span.span_id} style={{ transform: `translateY(${item.start}px)` }}>
              {below > 0 && (
                <button type="button" className="fold-button" style={{ left: Math.min(depth, DEEPEST) * 14 }} aria-label={`${folded.has(span.span_id) ? "Unfold" : "Fold"} ${span.name}`} aria-expanded={!folded.has(span.span_id)} onClick={() => onFold(span.span_id)} />
              )}
              <button type="button" className="span-row" aria-pressed={span.span_id === current} onClick={() => onPick(span.span_id)}>
                <span className="span-name" style={{ paddingLeft: 24 + Math.min(depth, DEEPEST) * 14 }}>
                  <i className={`dot ${span.status === "error" ? "bad" : span.kind}`} />
                  <span className="ellipsis" title={span.name}>
                    {span.name}
                  </span>
                  {folded.has(span.span_id) && <span className="muted">{`+${full(below)}`}</span>}
                  {span.status === "error" && <span className="badge bad">error</span>}
                  <Marks span={span} />
                </span>
                {kind === "waterfall" ? (
                  <Rail span={span} from={from} length={length} />
                ) : (
                  <>
                    <span className="span-model ellipsis">{span.model ?? ""}</span>
                    <span className="span-figure">{span.input_tokens || span.output_tokens ? count((span.input_tokens ?? 0) + (span.output_tokens ?? 0)) : ""}</span>
                    <span className="span-figure">{span.cost_usd ? usd(span.cost_usd) : ""}</span>
                  </>
                )}
                <span className="span-time">{ms((span.end_ns - span.start_ns) / 1e6)}</span>
              </button>
            </li>
          );
        })}
      </ol>
    </div>
  );
}

const LIVE_MS = 60_000;

export function TraceView({ traceId, compact }: { traceId: string; compact?: boolean }) {
  const project = useContext(ProjectContext);
  const trace = useQuery<Read, ApiError>({
    queryKey: [project, "trace", traceId],
    queryFn: ({ signal }) => readTrace(traceId, signal),
    staleTime: 5_000,
    // Spans may still be on their way; a big trace is not read again and again.
    refetchInterval: (q) => (q.state.data && !q.state.data.columns && Date.now() - q.state.data.end_ns / 1e6 < LIVE_MS ? 5_000 : false),
  });
  return <Ready query={trace}>{(data) => <Loaded trace={data} compact={compact} />}</Ready>;
}

function Summary({ trace, current, from, to }: { trace: Read; current: Span; from: number; to: number }) {
  return (
    <Facts
      items={[
        ["Started", clock(from / 1e6, true)],
        ["Took", ms((to - from) / 1e6)],
        ["Spans", trace.of ? `the first ${full(trace.spans.length)} of ${full(trace.of)}` : full(trace.spans.length)],
        ["Sampling", trace.partial && <Partial />],
        ["Tokens", `${count(trace.input_tokens)} in · ${count(trace.output_tokens)} out${trace.spans.some((s) => s.tokens_estimated) ? " (estimated)" : ""}`],
        ["Cost", usd(trace.cost_usd)],
        ["Errors", trace.errors ? <span className="bad-ink">{full(trace.errors)}</span> : null],
        ["Route", trace.route && <A href={`/gateway/route?name=${encodeURIComponent(trace.route)}`}>{trace.route}</A>],
        ["Prompt", current.prompt && <A href={hrefOf("prompt_version", current.prompt) ?? "/prompts"}>{current.prompt}</A>],
        ["Environment", trace.environment],
        ["User", trace.user && <A href={`/users/${encodeURIComponent(trace.user)}`}>{trace.user}</A>],
        ["Session", trace.session && <A href={`/sessions/${encodeURIComponent(trace.session)}`}>{trace.session}</A>],
      ]}
    />
  );
}

function Finder({ text, onText, hits, foldable, folded, onFoldAll }: { text: string; onText: (text: string) => void; hits: number; foldable: boolean; folded: boolean; onFoldAll: () => void }) {
  return (
    <div className="span-tools">
      <input type="search" aria-label="Find spans" placeholder="Find spans by name, kind, model or error" value={text} onChange={(e) => onText(e.target.value)} />
      {text && <span className="muted" role="status">{plural(hits, "span")}</span>}
      {foldable && (
        <button type="button" className="button small" onClick={onFoldAll}>
          {folded ? "Unfold all" : "Fold all"}
        </button>
      )}
    </div>
  );
}

const TABS: [string, string][] = [
  ["tree", "Tree"],
  ["waterfall", "Waterfall"],
  ["conversation", "Conversation"],
];

function Loaded({ trace, compact }: { trace: Read; compact?: boolean }) {
  const [search, patch] = useSearch();
  const [text, setText] = useState("");
  const [folded, setFolded] = useState<Set<string>>(new Set());
  const all = useMemo(() => tree(trace.spans), [trace.spans]);
  const [from, to] = useMemo(() => extent(trace.spans), [trace.spans]);
  const { rows, hits } = useMemo(() => {
    const matching = found(all, text);
    return text.trim() ? matching : { rows: unfolded(all, folded), hits: all.length };
  }, [all, text, folded]);
  const current = useMemo(() => all.find((r) => r.span.span_id === search.span)?.span ?? all.find((r) => r.span.kind === "llm")?.span ?? all[0]?.span, [all, search.span]);
  const tab = TABS.some(([key]) => key === search.tab) ? search.tab! : "tree";
  const pick = (id: string) => patch({ span: id, tab: tab === "conversation" ? undefined : search.tab }, { replace: true });
  const move = (by: number) => {
    const at = rows.findIndex((r) => r.span === current);
    const next = rows[Math.max(0, Math.min(rows.length - 1, at + by))];
    if (next) pick(next.span.span_id);
  };
  const fold = (id: string) => {
    const next = new Set(folded);
    if (!next.delete(id)) next.add(id);
    setFolded(next);
  };
  useKeys({ n: () => move(1), p: () => move(-1), o: () => current && fold(current.span_id) });
  if (!current) return <p className="muted pad">This trace has no spans yet.</p>;
  const href = (key: string) => `${window.location.pathname}${stringifySearch({ ...search, tab: key === "tree" ? undefined : key })}`;
  const foldAll = () => setFolded(folded.size ? new Set() : new Set(all.filter((r) => r.depth > 0 && r.below).map((r) => r.span.span_id)));
  const tabs = <Tabs label="Trace views" current={tab} hrefOf={href} items={TABS} />;
  if (tab === "conversation")
    return (
      <div className={compact ? "trace talk compact" : "trace talk"}>
        <div className="trace-left">
          <Summary trace={trace} current={current} from={from} to={to} />
          {tabs}
          <Suspense fallback={<Loading rows={6} />}>
            <Conversation traceId={trace.trace_id} spans={trace.spans} pick={pick} />
          </Suspense>
        </div>
      </div>
    );
  return (
    <div className={compact ? "trace compact" : "trace"}>
      <div className="trace-left">
        <Summary trace={trace} current={current} from={from} to={to} />
        {tabs}
        {all.length > 8 && <Finder text={text} onText={setText} hits={hits} foldable={all.some((r) => r.depth > 0 && r.below > 0)} folded={folded.size > 0} onFoldAll={foldAll} />}
        <SpanList rows={rows} kind={tab as "tree" | "waterfall"} from={from} length={Math.max(1, to - from)} current={current.span_id} folded={folded} onFold={fold} onPick={pick} />
      </div>
      <section className="trace-right" aria-label={`Span ${current.name}`}>
        <SpanView traceId={trace.trace_id} span={current} pick={pick} />
      </section>
    </div>
  );
}
