/** The list of traces: virtual rows with chosen columns, marks where words were found, and ticks for many at once. */
import { useEffect, useRef } from "react";
import { useVirtualizer } from "@tanstack/react-virtual";
import type { TraceRow } from "../api/types.ts";
import type { TraceColumn } from "../lib/columns.ts";
import { around, marked, markedAt, near } from "../lib/marks.ts";
import { A } from "../lib/nav.tsx";
import { ago, clock } from "../lib/time.ts";
import { Badge, Partial } from "./bits.tsx";

const ROW = 34;
const MARKED = new Set(["name", "input", "output"]);

export function Marked({ text, words }: { text: string; words: string[] }) {
  return (
    <>
      {marked(text, words).map((p, i) => (p.hit ? <mark key={i}>{p.text}</mark> : p.text))}
    </>
  );
}

interface RowProps {
  trace: TraceRow;
  columns: TraceColumn[];
  words: string[];
  onFilter: (field: string, value: string, not: boolean) => void;
}

function Cell({ trace: t, column, columns, words, onFilter }: RowProps & { column: TraceColumn }) {
  if (column.key === "time") return <span title={clock(t.start_ns / 1e6, true)}>{ago(t.start_ns / 1e6)}</span>;
  if (column.key === "name")
    return (
      <>
        <i className={t.status === "error" ? "dot bad" : t.calls ? "dot llm" : "dot"} />
        <A href={`/traces/${t.trace_id}`} className="ellipsis" title={t.name} onClick={(e) => e.stopPropagation()}>
          <Marked text={t.name} words={words} />
        </A>
        {t.status === "error" && <Badge value="error" />}
        {t.partial && <Partial />}
      </>
    );
  if (t.snippet && (column.key === t.snippet.field || (column.key === "input" && !columns.some((c) => c.key === t.snippet!.field && c.key !== "name"))) && column.key !== "name") {
    const cut = near(t.snippet.text, t.snippet.marks);
    return (
      <>
        {t.snippet.field !== column.key && <span className="found-in">{t.snippet.field}</span>}
        {markedAt(cut.text, cut.marks).map((p, i) => (p.hit ? <mark key={i}>{p.text}</mark> : p.text))}
      </>
    );
  }
  const text = column.text(t);
  if (column.field && text)
    return (
      <button
        type="button"
        className="cell-filter ellipsis"
        tabIndex={-1}
        title={`${text}\nClick: only these. Alt or Shift and click: all but these.`}
        onClick={(e) => {
          e.stopPropagation();
          onFilter(column.field!, text, e.altKey || e.shiftKey);
        }}
      >
        {text}
      </button>
    );
  if (!text) return <>–</>;
  return MARKED.has(column.key) && words.length ? <Marked text={around(text, words)} words={words} /> : <>{text}</>;
}

interface Props {
  rows: TraceRow[];
  columns: TraceColumn[];
  words: string[];
  current: string | undefined;
  fresh: Set<string>;
  ticked: Set<string>;
  onTick: (id: string, range: boolean) => void;
  onTickAll: () => void;
  onPick: (trace: TraceRow) => void;
  onFilter: RowProps["onFilter"];
  onTop: (atTop: boolean) => void;
  more: () => void;
  loadingMore: boolean;
}

export function TraceList({ rows, columns, words, current, fresh, ticked, onTick, onTickAll, onPick, onFilter, onTop, more, loadingMore }: Props) {
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
  const all = rows.length > 0 && rows.every((r) => ticked.has(r.trace_id));
  const least = columns.reduce((n, c) => n + Number(/\d+/.exec(c.width)?.[0] ?? 0), 34);
  const grid = { "--columns": `34px ${columns.map((c) => c.width).join(" ")}`, "--least": `${least}px` } as React.CSSProperties;
  return (
    <div className="vtable" ref={box} role="table" aria-label="Traces" aria-rowcount={rows.length + 1} tabIndex={0} style={grid} onScroll={(e) => onTop(e.currentTarget.scrollTop < ROW)}>
      <div className="vhead" role="rowgroup">
        <div className="vrow" role="row">
          <div role="columnheader" className="tick">
            <input type="checkbox" aria-label="Select all that are loaded" checked={all} ref={(n) => void (n && (n.indeterminate = !all && ticked.size > 0))} onChange={onTickAll} />
          </div>
          {columns.map((c) => (
            <div key={c.key} role="columnheader" className={c.num ? "num" : undefined}>
              {c.head}
            </div>
          ))}
        </div>
      </div>
      <div role="rowgroup" style={{ height: v.getTotalSize(), position: "relative" }}>
        {items.map((item) => {
          const t = rows[item.index]!;
          const on = t.trace_id === current;
          return (
            <div
              key={t.trace_id}
              role="row"
              aria-rowindex={item.index + 2}
              aria-selected={on}
              className={`vrow${on ? " on" : ""}${fresh.has(t.trace_id) ? " fresh" : ""}${ticked.has(t.trace_id) ? " ticked" : ""}`}
              style={{ transform: `translateY(${item.start}px)` }}
              onClick={() => onPick(t)}
            >
              <div role="cell" className="tick" onClick={(e) => e.stopPropagation()}>
                <input type="checkbox" aria-label={`Select ${t.name}, ${clock(t.start_ns / 1e6)}`} checked={ticked.has(t.trace_id)} onChange={(e) => onTick(t.trace_id, (e.nativeEvent as MouseEvent).shiftKey)} />
              </div>
              {columns.map((c) => (
                <div key={c.key} role="cell" className={c.key === "name" ? "vname" : `ellipsis${c.num ? " num" : ""}${c.muted ? " muted" : ""}`} title={c.muted && c.key !== "time" ? c.text(t) : undefined}>
                  <Cell trace={t} column={c} columns={columns} words={words} onFilter={onFilter} />
                </div>
              ))}
            </div>
          );
        })}
      </div>
      {loadingMore && <div className="pad muted">Loading more…</div>}
    </div>
  );
}
