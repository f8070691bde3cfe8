/** What the management API answers. Times are ISO-8601 UTC; `_ns` are epoch nanoseconds. */
export interface Page<T> {
  items: T[];
  next: string | null;
}

export interface Me {
  id: string;
  name: string;
  role: string;
  project: string;
  version: string;
}
export interface Project {
  name: string;
}
export interface Key {
  id: string;
  name: string;
  role: string;
  project: string;
  any_project: boolean;
  hint: string;
  created_at: string;
  expires_at?: string | null;
  revoked_at?: string | null;
}
export interface NewKey {
  id: string;
  key: string;
}

export interface LoopStage {
  count: number;
  active?: number;
  detail?: string | null;
  latest?: { ref: string; title: string; status?: string | null; at?: string | null } | null;
}
export interface Loop {
  address: string;
  first_trace_at: string | null;
  stages: Record<string, LoopStage | undefined>;
}

export type Status = "ok" | "error" | "unset";
export interface TraceSummary {
  trace_id: string;
  name: string;
  kind: string;
  status: Status;
  start_ns: number;
  end_ns: number;
  model: string | null;
  provider: string | null;
  route?: string | null;
  user?: string | null;
  session?: string | null;
  key_id?: string | null;
  environment?: string | null;
  prompt?: string | null;
  tags?: string[];
  spans?: number;
  input_tokens: number | null;
  output_tokens: number | null;
  cached_tokens?: number | null;
  cost_usd: number | null;
  ttft_ns?: number | null;
  tokens_estimated?: boolean;
  error?: string | null;
  input_preview?: string | null;
  output_preview?: string | null;
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
}
export interface SpanEvent {
  name: string;
  at_ns: number;
  attributes?: Record<string, unknown>;
}
export interface SpanDetail extends Span {
  input: unknown;
  output: unknown;
  attributes: Record<string, unknown>;
  events: SpanEvent[];
}
export type TraceDetail = Omit<TraceSummary, "spans"> & { spans: Span[] };
export interface TimePoint {
  time: string;
  calls: number;
  errors: number;
  p50_ms: number | null;
  p95_ms: number | null;
  p99_ms: number | null;
  ttft_ms?: number | null;
  input_tokens?: number;
  output_tokens?: number;
  cost_usd?: number | null;
}
export interface Usage {
  group: string;
  calls: number;
  input_tokens: number;
  output_tokens: number;
  cost_usd: number | null;
  errors: number;
}

export interface Prompt {
  id: string;
  name: string;
  description: string;
  tags: string[];
  versions: number;
  labels: Record<string, number>;
  created_at: string;
  history?: { label: string; version: number; previous: number | null; actor: string; at: string }[];
}
export interface Message {
  role: string;
  content: unknown;
}
export interface Variable {
  name: string;
  type: string;
  required: boolean;
  default: unknown;
  description: string;
}
export interface PromptBody {
  kind: "text" | "chat";
  text: string;
  messages: Message[];
  variables: Variable[];
  tools: unknown[];
  output_schema: unknown;
  settings: Record<string, unknown>;
}
export interface PromptVersion {
  id: string;
  prompt: string;
  number: number;
  ref: string;
  body: PromptBody;
  hash: string;
  note: string;
  author: string;
  created_at: string;
}
export interface Rendered {
  ref: string;
  kind: "text" | "chat";
  text: string;
  messages: Message[];
  settings: Record<string, unknown>;
}
export interface Change {
  field: string;
  pieces: { op: "equal" | "insert" | "delete"; text: string }[];
}

export interface Dataset {
  name: string;
  description?: string;
  latest: number;
  rows: number;
  created_at: string;
  updated_at?: string;
}
export interface DatasetVersion {
  id: string;
  dataset: string;
  number: number;
  hash: string;
  rows: number;
  splits: Record<string, number>;
  created_at: string;
  quarantined?: number;
  description?: string;
  schema?: unknown;
  profile?: unknown;
  recipe_report?: unknown;
  card?: string;
}
export interface Link {
  kind: string;
  ref: string;
  role: string;
}

export type RunState = "queued" | "running" | "succeeded" | "failed" | "cancelled";
export interface TrainingRun {
  id: string;
  name: string;
  state: RunState;
  trainer: string;
  base?: string | null;
  dataset?: string | null;
  model?: string | null;
  error?: string | null;
  created_at: string;
  started_at?: string | null;
  finished_at?: string | null;
  progress?: Record<string, unknown> | null;
  recipe?: unknown;
  result?: Record<string, unknown> | null;
  log?: string | null;
}
export interface MetricPoint {
  step: number;
  [name: string]: number | string | null;
}
export interface Interval {
  value: number;
  low: number | null;
  high: number | null;
  n: number;
}
export interface Metric extends Interval {
  name: string;
  split: string;
  method?: string;
  kind: string;
  higher_is_better: boolean;
  unit: string;
}
export interface EvalRun {
  id: string;
  suite: string;
  spec?: unknown;
  dataset: string;
  target: string;
  model: string;
  state: RunState;
  error?: string;
  total: number;
  done: number;
  errors: number;
  metrics: Metric[];
  created_at: string;
  started_at?: string | null;
  finished_at?: string | null;
}
export interface Sample {
  sample_id: string;
  ordinal: number;
  split: string;
  messages: Message[];
  references: string[];
  output: { text: string; latency_s: number | null; error: string | null; trace_id: string | null };
  scores: Record<string, number>;
}
export interface GateCheck {
  rule: string;
  passed: boolean;
  reason: string;
}
export interface GateDecision {
  id: string;
  run_id: string;
  baseline_id: string | null;
  passed: boolean;
  checks: GateCheck[];
  created_at: string;
}
export interface Difference {
  name: string;
  split: string;
  baseline: number;
  candidate: number;
  difference: number;
  low: number | null;
  high: number | null;
  n: number;
  p_value: number;
  p_adjusted: number;
  test: string;
  higher_is_better: boolean;
  unit: string;
  verdict?: string;
}
export interface Comparison {
  baseline_id: string;
  candidate_id: string;
  shared: number;
  only_baseline: number;
  only_candidate: number;
  changed: number;
  failed: number;
  differences: Difference[];
}

export interface Model {
  name: string;
  latest: number;
  aliases: Record<string, number>;
  kind?: string;
  created_at: string;
  updated_at?: string;
}
export interface ModelFile {
  path: string;
  size: number;
  sha256: string;
}
export interface ModelVersion {
  name: string;
  number: number;
  kind: string;
  base?: string | null;
  created_at: string;
  size?: number;
  files?: ModelFile[];
  card?: string;
  metrics?: Record<string, number | Interval>;
  aliases?: string[];
}
export interface DeploymentTarget {
  model: string;
  weight: number;
  role: "stable" | "canary";
  status: string;
  ready_replicas?: number;
  replicas?: number;
  error?: string | null;
}
export interface Deployment {
  name: string;
  engine: string;
  status: string;
  model: string;
  replicas: number;
  targets: DeploymentTarget[];
  previous?: string | null;
  error?: string | null;
  created_at: string;
  updated_at?: string;
}
export interface Provider {
  name: string;
  kind: string;
  base_url?: string | null;
  has_key?: boolean;
}
export interface RouteTarget {
  provider: string;
  model: string;
  weight?: number;
}
export interface GatewayRoute {
  name: string;
  strategy: string;
  targets: RouteTarget[];
}
export interface Audit {
  number: number;
  at: string;
  actor_id: string;
  actor_name: string;
  action: string;
  target: string;
  detail: Record<string, unknown>;
}
export interface Edge {
  child_kind: string;
  child_ref: string;
  parent_kind: string;
  parent_ref: string;
  role: string;
  created_at: string;
}
