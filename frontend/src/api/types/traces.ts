/** Traces, spans and what is counted from them. */
export type Status = "ok" | "error" | "unset";
export interface TraceSummary {
  trace_id: string;
  name: string;
  started_at: string;
  start_ns: number;
  end_ns: number;
  duration_ms: number;
  status: Status;
  calls: number;
  errors: number;
  input_tokens: number;
  output_tokens: number;
  cached_tokens: number;
  cost_usd: number;
  model: string | null;
  user: string | null;
  session: string | null;
  route: string | null;
  key_id: string | null;
  environment: string | null;
  input_preview: string | null;
  output_preview: string | null;
}
export interface TraceRow extends TraceSummary {
  spans: number;
  /** Where a text search found its words, when there was one. */
  snippet?: Snippet | null;
  /** Sampling let go of spans that came earlier. */
  partial?: boolean;
}
export interface Snippet {
  span_id: string;
  field: "name" | "error" | "input" | "output";
  text: string;
  /** [start, end) of each word found, in characters of the text. */
  marks: number[][];
}
/** A value of a key, or a key itself, and how many traces have it. */
export interface Facet {
  value: string;
  traces?: number | null;
}
export interface Bin {
  at: string;
  traces: number;
  errors: number;
}
export interface SavedView {
  name: string;
  query: string;
  columns: string[];
  shared: boolean;
  owner?: string | null;
}
interface Totals {
  traces: number;
  calls: number;
  errors: number;
  input_tokens: number;
  output_tokens: number;
  cost_usd: number;
  first_at: string;
  last_at: string;
}
export interface SessionRow extends Totals {
  session: string;
  user: string | null;
  preview: string | null;
}
export interface UserRow extends Totals {
  user: string;
  sessions?: number;
}
export interface Turn {
  trace_id: string;
  at: string;
  user: string | null;
  input: unknown;
  output: unknown;
  status: Status;
  cost_usd: number | null;
  duration_ns: number;
  model?: string | null;
}
export interface SessionPage {
  session: string;
  /** null until the background has seen it, a second or so after it began. */
  totals?: SessionRow | null;
  turns: Turn[];
  next?: string | null;
}
export interface TraceDiff {
  left: TraceSummary;
  right: TraceSummary;
  spans: SpanPair[];
  total: number;
  next: string | null;
}
export interface SpanPair {
  left: Span | null;
  right: Span | null;
  /** Field → [left, right]. */
  changes: Record<string, unknown[]>;
  /** Of a changed `input` or `output`: pieces of text that are kept (`["=", text]`), left out (`-`) and put in (`+`). */
  texts: Record<string, string[][]>;
}
/** A trace as columns of equal length, in the order in which its tree is drawn. */
export interface Outline {
  trace_id: string;
  start_ns: number;
  /** How many spans there are; the columns may hold fewer. */
  spans: number;
  /** Sampling let go of spans that came earlier. */
  partial?: boolean;
  names: string[];
  kinds: string[];
  statuses: string[];
  models: string[];
  span_id: string[];
  parent: number[];
  depth: number[];
  name: number[];
  kind: number[];
  status: number[];
  model: number[];
  start: number[];
  duration: number[];
  tokens: number[];
  cost_usd: (number | null)[];
}
export interface Span {
  span_id: string;
  parent_id: string | null;
  name: string;
  kind: string;
  model: string | null;
  requested_model?: string | null;
  provider: string | null;
  status: Status;
  error?: string | null;
  start_ns: number;
  end_ns: number;
  input_tokens: number | null;
  output_tokens: number | null;
  cached_tokens?: number | null;
  reasoning_tokens?: number | null;
  cost_usd: number | null;
  ttft_ns?: number | null;
  tokens_estimated?: boolean;
  prompt?: string | null;
  route?: string | null;
  /** `trace_id/span_id` of the span that already counts this call, when two instrumentors reported it. */
  duplicate_of?: string | null;
  environment?: string | null;
  user?: string | null;
  session?: string | null;
  cache_write_tokens?: number | null;
  price_version?: string | null;
}
export interface SpanEvent {
  name: string;
  at_ns: number;
  attributes?: Record<string, unknown>;
}
export interface SpanDetail extends Span {
  never_searched?: string[];
  input: unknown;
  output: unknown;
  attributes: Record<string, unknown>;
  events: SpanEvent[];
  tags: string[];
  metadata: Record<string, string>;
  finish_reasons?: string[];
  parameters?: Record<string, unknown>;
}
export interface TraceDetail extends TraceSummary {
  spans: Span[];
}
export interface TimePoint {
  time: string;
  /** The value of the dimension the series is by, when it is. */
  group?: string | null;
  calls: number;
  errors: number;
  p50_ms: number | null;
  p95_ms: number | null;
  p99_ms: number | null;
  ttft_p50_ms: number | null;
  ttft_p95_ms?: number | null;
  input_tokens?: number;
  output_tokens?: number;
  cached_tokens?: number;
  reasoning_tokens?: number;
  cache_hits?: number;
  unpriced?: number;
  cost_usd?: number | null;
}
export interface Usage {
  group: string;
  calls: number;
  input_tokens: number;
  output_tokens: number;
  cost_usd: number | null;
  errors: number;
  cached_tokens: number;
  reasoning_tokens: number;
  unpriced: number;
  mean_latency_ms: number | null;
  cache_hits?: number;
  p50_ms?: number | null;
  p95_ms?: number | null;
  p99_ms?: number | null;
  ttft_p50_ms?: number | null;
  ttft_p95_ms?: number | null;
}
/** How long and how many; null: as the settings say, 0: all. */
export interface Retention {
  days: number | null;
  traces: number | null;
}
/** Traces that stay whatever the rate says: each condition suffices. */
export interface KeepRule {
  errors: boolean;
  judged: boolean;
  slower_than_ms: number | null;
  costlier_than_usd: number | null;
  scores_below: Record<string, number>;
}
export interface SamplingRule {
  name: string;
  /** The share that stays. */
  rate: number;
  where: Record<string, string>;
  keep: KeepRule | null;
}
export interface PatternRule {
  name: string;
  pattern: string;
  replacement: string | null;
}
export interface KeyRule {
  key: string;
  action: "drop" | "hash" | "mask";
}
/** What a project keeps, samples and masks. */
export interface Policies {
  retention: Retention;
  sampling: SamplingRule[];
  masking: { detectors: Record<string, Record<string, unknown>>; patterns: PatternRule[]; keys: KeyRule[] };
}
export interface StoredPolicies {
  policies: Policies;
  /** What holds by policies and settings together. */
  effective: Retention;
  updated_at: string | null;
  updated_by: string | null;
  let_go: { day: string; reason: string; traces: number; spans: number }[];
}
/** A group of sums, or with null all others together. */
export interface GroupUsage extends Omit<Usage, "group"> {
  group: string | null;
}
