/** A trace's spans in the order pages draw them. Traces of 50,000 spans are ordinary: everything here is linear, or sorts. */
import type { Span } from "../api/types.ts";

export interface Row {
  span: Span;
  depth: number;
  /** How many spans are below it, whatever is shown of them. */
  below: number;
}

/** Depth-first by start; spans whose parent is missing are roots; cycles are cut. */
export function tree(spans: Span[]): Row[] {
  const ids = new Set(spans.map((s) => s.span_id));
  const children = new Map<string | null, Span[]>();
  for (const span of spans) {
    const parent = span.parent_id && ids.has(span.parent_id) && span.parent_id !== span.span_id ? span.parent_id : null;
    const list = children.get(parent);
    if (list) list.push(span);
    else children.set(parent, [span]);
  }
  for (const list of children.values()) list.sort((a, b) => a.start_ns - b.start_ns);
  const rows: Row[] = [];
  const seen = new Set<string>();
  const walk = (roots: Span[]) => {
    const stack = roots.map((span) => ({ span, depth: 0 })).reverse();
    while (stack.length) {
      const { span, depth } = stack.pop()!;
      if (seen.has(span.span_id)) continue;
      seen.add(span.span_id);
      rows.push({ span, depth, below: 0 });
      const own = children.get(span.span_id) ?? [];
      for (let i = own.length - 1; i >= 0; i--) stack.push({ span: own[i]!, depth: depth + 1 });
    }
  };
  walk(children.get(null) ?? []);
  for (const span of spans) if (!seen.has(span.span_id)) walk([span]);
  count(rows);
  return rows;
}

/** Fill in `below`: what stands after a row and deeper, up to the next that is not. */
function count(rows: Row[]): void {
  const open: number[] = [];
  const close = (until: number, end: number) => {
    while (open.length && rows[open[open.length - 1]!]!.depth >= until) {
      const at = open.pop()!;
      rows[at]!.below = end - at - 1;
    }
  };
  rows.forEach((row, i) => {
    close(row.depth, i);
    open.push(i);
  });
  close(0, rows.length);
}

/** The rows that are not inside a folded one. */
export function unfolded(rows: Row[], folded: Set<string>): Row[] {
  if (!folded.size) return rows;
  const shown: Row[] = [];
  for (let i = 0; i < rows.length; i++) {
    shown.push(rows[i]!);
    if (folded.has(rows[i]!.span.span_id)) i += rows[i]!.below;
  }
  return shown;
}

const says = (span: Span, low: string) => [span.name, span.kind, span.model, span.provider, span.error, span.status, span.span_id].some((v) => v?.toLowerCase().includes(low));

/** The rows that a text is found in, with what they are inside of; all for an empty text. */
export function found(rows: Row[], text: string): { rows: Row[]; hits: number } {
  const low = text.trim().toLowerCase();
  if (!low) return { rows, hits: rows.length };
  const keep = new Set<number>();
  const path: number[] = [];
  let hits = 0;
  rows.forEach((row, i) => {
    path.length = Math.min(path.length, row.depth);
    path[row.depth] = i;
    if (!says(row.span, low)) return;
    hits++;
    // What is above a kept row is kept already.
    for (let d = row.depth; d >= 0 && !keep.has(path[d]!); d--) keep.add(path[d]!);
  });
  return { rows: rows.filter((_, i) => keep.has(i)), hits };
}

/** First start and last end, in nanoseconds. */
export function extent(spans: Span[]): [number, number] {
  let from = Infinity;
  let to = -Infinity;
  for (const s of spans) {
    if (s.start_ns < from) from = s.start_ns;
    if (s.end_ns > to) to = s.end_ns;
  }
  return [from, to];
}

const NICE = [1, 2, 5];

/** Marks of a time axis of so many nanoseconds: about `wanted` of them at round distances. */
export function ticks(length: number, wanted = 5): number[] {
  if (!(length > 0)) return [0];
  const rough = length / wanted;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = (NICE.find((n) => n * power >= rough) ?? 10) * power;
  return Array.from({ length: Math.floor(length / step) + 1 }, (_, i) => i * step);
}

/** Whether a span's tokens and cost are in the sums, and if not, why. */
export function uncounted(span: Span): string {
  if (span.duplicate_of) return "Another instrumentor reported the same call; it is counted once.";
  if (span.kind === "llm" || span.kind === "embedding") return "";
  return (span.input_tokens || span.output_tokens || span.cost_usd) ? "It repeats what the calls below it say; only those are counted." : "";
}
