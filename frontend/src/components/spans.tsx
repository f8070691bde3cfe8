/** One trace: the tree with its waterfall, and the chosen span's detail, read only when looked at. */
import { type ReactNode, useMemo, useRef } from "react";
import { useVirtualizer } from "@tanstack/react-virtual";
import { path } from "../api/client.ts";
import type { Span, SpanDetail, TraceDetail } from "../api/types.ts";
import { count, ms, usd } from "../lib/format.ts";
import { verdictsOf } from "../lib/guards.ts";
import { useKeys } from "../lib/keys.ts";
import { A, stringifySearch, useSearch } from "../lib/nav.tsx";
import { useGet } from "../lib/query.ts";
import { clock } from "../lib/time.ts";
import { Badge, Code, Facts, Tabs } from "./bits.tsx";
import { hrefOf } from "./lineage.tsx";
import { Messages } from "./messages.tsx";
import { Ready } from "./state.tsx";
import { Verdicts } from "./verdicts.tsx";

export interface Row {
  span: Span;
  depth: number;
}

/** Depth-first order by start; spans whose parent is missing are roots; cycles are cut. */
export function tree(spans: Span[]): Row[] {
  const ids = new Set(spans.map((s) => s.span_id));
  const children = new Map<string | null, Span[]>();
  for (const span of spans) {
    const parent = span.parent_id && ids.has(span.parent_id) && span.parent_id !== span.span_id ? span.parent_id : null;
    children.set(parent, [...(children.get(parent) ?? []), span]);
  }
  for (const list of children.values()) list.sort((a, b) => a.start_ns - b.start_ns);
  const rows: Row[] = [];
  const seen = new Set<string>();
  const stack: Row[] = (children.get(null) ?? []).map((span) => ({ span, depth: 0 })).reverse();
  const drain = () => {
    while (stack.length) {
      const row = stack.pop()!;
      if (seen.has(row.span.span_id)) continue;
      seen.add(row.span.span_id);
      rows.push(row);
      for (const child of [...(children.get(row.span.span_id) ?? [])].reverse()) stack.push({ span: child, depth: row.depth + 1 });
    }
  };
  drain();
  for (const span of spans)
    if (!seen.has(span.span_id)) {
      stack.push({ span, depth: 0 });
      drain();
    }
  return rows;
}

const ROW = 28;

function Waterfall({ rows, from, length, current, onPick }: { rows: Row[]; from: number; length: number; current: string; onPick: (id: string) => void }) {
  const box = useRef<HTMLDivElement>(null);
  const v = useVirtualizer({ count: rows.length, getScrollElement: () => box.current, estimateSize: () => ROW, overscan: 12 });
  return (
    <div className="waterfall" ref={box} tabIndex={0} role="region" aria-label="Spans">
      <ol style={{ height: v.getTotalSize() }}>
        {v.getVirtualItems().map((item) => {
          const { span, depth } = rows[item.index]!;
          const left = ((span.start_ns - from) / length) * 100;
          const width = ((span.end_ns - span.start_ns) / length) * 100;
          return (
            <li key={span.span_id} style={{ transform: `translateY(${item.start}px)` }}>
              <button type="button" aria-pressed={span.span_id === current} onClick={() => onPick(span.span_id)}>
                <span className="span-name" style={{ paddingLeft: 8 + Math.min(depth, 12) * 14 }}>
                  <i className={`dot ${span.status === "error" ? "bad" : span.kind}`} />
                  <span className="ellipsis" title={span.name}>
                    {span.name}
                  </span>
                </span>
                <span className="span-rail" aria-hidden="true">
                  <span className={`span-bar ${span.status === "error" ? "bad" : span.kind}`} style={{ left: `${Math.min(99.4, Math.max(0, left))}%`, width: `${Math.max(0.6, Math.min(100 - left, width))}%` }} />
                </span>
                <span className="span-time">{ms((span.end_ns - span.start_ns) / 1e6)}</span>
              </button>
            </li>
          );
        })}
      </ol>
    </div>
  );
}

const text = (value: unknown) => (value == null || value === "" ? null : typeof value === "string" ? value : JSON.stringify(value));

/** What the gateway did with the call of this span; nothing for spans from elsewhere. */
function Handling({ span }: { span: SpanDetail }) {
  const at = (name: string) => text(span.attributes?.[`gateway.${name}`]);
  const cache = at("cache");
  const attempts = at("attempts");
  const items: [string, ReactNode][] = [
    ["Route", span.route],
    ["Arm", at("arm")],
    ["Target", at("target")],
    ["Attempts", attempts && Number(attempts) > 1 ? <span className="bad-ink">{attempts}</span> : attempts],
    ["Hedged with", at("hedged")],
    ["Cache", cache && <Badge value={/^(hit|miss|bypass)$/.test(cache) ? cache : `hit, ${cache}`} tone={{ miss: "plain", bypass: "wait" }[cache] ?? "good"} />],
    ["Status", at("status")],
    ["Caller left", at("caller_left") && "before the end"],
    ["Shadow", at("shadow") && "its answer went nowhere"],
  ];
  if (!at("status") && !at("target")) return null;
  return (
    <>
      <h3>Gateway</h3>
      <Facts items={items} />
    </>
  );
}

function Guarded({ span }: { span: SpanDetail }) {
  const verdicts = verdictsOf(span);
  if (!verdicts.length) return null;
  return (
    <>
      <h3>Guardrails</h3>
      <div className="boxed">
        <Verdicts items={verdicts} label="Guardrail verdicts" narrow />
      </div>
    </>
  );
}

function Detail({ traceId, spanId }: { traceId: string; spanId: string }) {
  const [search] = useSearch();
  const tab = search.show ?? "messages";
  const detail = useGet<SpanDetail>(path`/traces/${traceId}/spans/${spanId}`, undefined, { staleTime: 60_000 });
  const hrefOf = (key: string) => `${window.location.pathname}${stringifySearch({ ...search, show: key === "messages" ? undefined : key })}`;
  return (
    <div className="span-detail">
      <Tabs
        label="Span views"
        current={tab}
        hrefOf={hrefOf}
        items={[
          ["messages", "Messages"],
          ["attributes", "Attributes"],
          ["raw", "Raw"],
        ]}
      />
      <Ready query={detail} rows={5}>
        {(span) => {
          if (tab === "raw") return <Code text={JSON.stringify(span, null, 2)} label="Span as JSON" />;
          if (tab === "attributes")
            return (
              <>
                <Facts items={[["tags", span.tags.join(", ")], ...Object.entries(span.metadata)]} />
                <Facts items={Object.entries(span.attributes ?? {}).map(([k, value]): [string, string] => [k, typeof value === "string" ? value : JSON.stringify(value)])} />
                {Object.keys(span.attributes ?? {}).length === 0 && <p className="muted">This span has no attributes.</p>}
                {span.events?.length > 0 && (
                  <>
                    <h3>Events</h3>
                    <Facts items={span.events.map((e): [string, string] => [e.name, `+${ms((e.at_ns - span.start_ns) / 1e6)} ${e.attributes && Object.keys(e.attributes).length ? JSON.stringify(e.attributes) : ""}`])} />
                  </>
                )}
              </>
            );
          const replay = span.kind === "llm" ? `/playground?from=${traceId}:${spanId}` : null;
          return (
            <>
              {span.error && (
                <div className="note bad" role="note">
                  {span.error}
                </div>
              )}
              <Handling span={span} />
              <Guarded span={span} />
              {replay && span.input != null && (
                <p>
                  <A className="button small" href={replay}>
                    Open in the playground
                  </A>
                </p>
              )}
              {span.input == null && span.output == null && <p className="muted">No body was recorded for this span.</p>}
              {span.input != null && (
                <>
                  <h3>Input</h3>
                  <Messages body={span.input} label="Input" />
                </>
              )}
              {span.output != null && (
                <>
                  <h3>Output</h3>
                  <Messages body={span.output} label="Output" />
                </>
              )}
            </>
          );
        }}
      </Ready>
    </div>
  );
}

export function TraceView({ traceId, compact }: { traceId: string; compact?: boolean }) {
  const trace = useGet<TraceDetail>(path`/traces/${traceId}`, undefined, { staleTime: 5_000 });
  return <Ready query={trace}>{(data) => <Loaded trace={data} compact={compact} />}</Ready>;
}

function Loaded({ trace, compact }: { trace: TraceDetail; compact?: boolean }) {
  const [search, patch] = useSearch();
  const rows = useMemo(() => tree(trace.spans), [trace.spans]);
  const from = Math.min(...trace.spans.map((s) => s.start_ns));
  const to = Math.max(...trace.spans.map((s) => s.end_ns));
  const current = rows.find((r) => r.span.span_id === search.span)?.span ?? rows.find((r) => r.span.kind === "llm")?.span ?? rows[0]?.span;
  const pick = (id: string) => patch({ span: id }, { replace: true });
  const move = (by: number) => {
    const at = rows.findIndex((r) => r.span === current);
    const next = rows[Math.max(0, Math.min(rows.length - 1, at + by))];
    if (next) pick(next.span.span_id);
  };
  useKeys({ n: () => move(1), p: () => move(-1) });
  if (!current) return <p className="muted pad">This trace has no spans yet.</p>;
  return (
    <div className={compact ? "trace compact" : "trace"}>
      <div className="trace-left">
        <Facts
          items={[
            ["Started", clock(from / 1e6, true)],
            ["Took", ms((to - from) / 1e6)],
            ["Tokens", `${count(trace.input_tokens)} in · ${count(trace.output_tokens)} out${trace.spans.some((s) => s.tokens_estimated) ? " (estimated)" : ""}`],
            ["Cost", usd(trace.cost_usd)],
            ["Route", trace.route],
            ["Prompt", current?.prompt && <A href={hrefOf("prompt_version", current.prompt) ?? "/prompts"}>{current.prompt}</A>],
            ["Environment", trace.environment],
            ["User", trace.user && <A href={`/traces?user=${encodeURIComponent(trace.user)}`}>{trace.user}</A>],
            ["Session", trace.session && <A href={`/traces?session=${encodeURIComponent(trace.session)}`}>{trace.session}</A>],
          ]}
        />
        <Waterfall rows={rows} from={from} length={Math.max(1, to - from)} current={current.span_id} onPick={pick} />
      </div>
      <section className="trace-right" aria-label={`Span ${current.name}`}>
        <div className="span-head">
          <h2 className="ellipsis" title={current.name}>
            {current.name}
          </h2>
          <Badge value={current.kind} tone="plain" />
          <Badge value={current.status} />
        </div>
        <Facts
          items={[
            ["Model", current.model && `${current.model}${current.requested_model && current.requested_model !== current.model ? ` (asked for ${current.requested_model})` : ""}`],
            ["Provider", current.provider],
            ["Latency", ms((current.end_ns - current.start_ns) / 1e6)],
            ["First token", current.ttft_ns != null ? ms(current.ttft_ns / 1e6) : null],
            ["Tokens", current.kind === "llm" || current.kind === "embedding" ? `${count(current.input_tokens)} in · ${count(current.output_tokens)} out${current.cached_tokens ? ` · ${count(current.cached_tokens)} cached` : ""}` : null],
            ["Cost", current.cost_usd != null ? usd(current.cost_usd) : null],
          ]}
        />
        <Detail traceId={trace.trace_id} spanId={current.span_id} />
      </section>
    </div>
  );
}
