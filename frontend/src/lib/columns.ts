/** Columns of the list of traces: which there are, which are shown, and what a press on a cell asks for. */
import type { TraceRow } from "../api/types.ts";
import { count, ms, usd } from "./format.ts";
import { wordsIn } from "./preview.ts";

export interface TraceColumn {
  key: string;
  head: string;
  /** A CSS grid track. */
  width: string;
  num?: boolean;
  muted?: boolean;
  text: (t: TraceRow) => string;
  /** The field of the query language that this column's values are of. */
  field?: string;
}

export const COLUMNS: TraceColumn[] = [
  { key: "time", head: "Time", width: "100px", muted: true, text: () => "" },
  { key: "name", head: "Name", width: "minmax(150px, 1.3fr)", text: (t) => t.name },
  { key: "model", head: "Model", width: "minmax(100px, 0.8fr)", text: (t) => t.model ?? "", field: "model" },
  { key: "user", head: "User", width: "minmax(80px, 0.5fr)", text: (t) => t.user ?? "", field: "user" },
  { key: "session", head: "Session", width: "minmax(80px, 0.5fr)", text: (t) => t.session ?? "", field: "session" },
  { key: "route", head: "Route", width: "minmax(80px, 0.5fr)", text: (t) => t.route ?? "", field: "route" },
  { key: "environment", head: "Environment", width: "minmax(80px, 0.5fr)", text: (t) => t.environment ?? "", field: "environment" },
  { key: "key", head: "Key", width: "minmax(80px, 0.5fr)", text: (t) => t.key_id ?? "", field: "key" },
  { key: "input", head: "Input", width: "minmax(120px, 2fr)", muted: true, text: (t) => wordsIn(t.input_preview ?? "") },
  { key: "output", head: "Output", width: "minmax(120px, 2fr)", muted: true, text: (t) => wordsIn(t.output_preview ?? "") },
  { key: "calls", head: "Calls", width: "58px", num: true, text: (t) => count(t.calls) },
  { key: "spans", head: "Spans", width: "58px", num: true, text: (t) => count(t.spans) },
  { key: "latency", head: "Latency", width: "80px", num: true, text: (t) => ms(t.duration_ms) },
  { key: "input_tokens", head: "In", width: "64px", num: true, text: (t) => count(t.input_tokens) },
  { key: "output_tokens", head: "Out", width: "64px", num: true, text: (t) => count(t.output_tokens) },
  { key: "cached_tokens", head: "Cached", width: "68px", num: true, text: (t) => count(t.cached_tokens) },
  { key: "tokens", head: "Tokens", width: "70px", num: true, text: (t) => count(t.input_tokens + t.output_tokens) },
  { key: "cost", head: "Cost", width: "100px", num: true, text: (t) => usd(t.cost_usd) },
];

export const USUAL = ["time", "name", "model", "input", "latency", "tokens", "cost"];
/** Beside an open trace and on a phone, and how wide they are there. */
const BESIDE: Record<string, string> = { time: "94px", name: "minmax(100px, 1fr)", latency: "74px" };

/** The columns an address or a view asks for, in the order of the list above; the usual ones when it asks for none it knows. */
export function columnsOf(text: string | undefined): string[] {
  const wanted = new Set((text ?? "").split(","));
  const found = COLUMNS.filter((c) => wanted.has(c.key)).map((c) => c.key);
  return found.length ? found : USUAL;
}

/** How an address says it; undefined for the usual ones. */
export function columnsText(keys: string[]): string | undefined {
  const sorted = COLUMNS.filter((c) => keys.includes(c.key)).map((c) => c.key);
  return sorted.join() === USUAL.join() || !sorted.length ? undefined : sorted.join();
}

/** What is drawn: few columns where there is little room. */
export function shownColumns(keys: string[], tight: boolean): TraceColumn[] {
  if (tight) return COLUMNS.filter((c) => BESIDE[c.key]).map((c) => ({ ...c, width: BESIDE[c.key]! }));
  return COLUMNS.filter((c) => keys.includes(c.key));
}
