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
  tags: string[];
  metadata: Record<string, string>;
}
export interface TraceDetail extends TraceSummary {
  spans: Span[];
}
export interface TimePoint {
  time: string;
  calls: number;
  errors: number;
  p50_ms: number | null;
  p95_ms: number | null;
  p99_ms: number | null;
  ttft_p50_ms: number | null;
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
  id: string;
  name: string;
  description: string;
  created_at: string;
  latest: number;
  rows: number;
}
export interface DatasetVersion {
  id: string;
  dataset: string;
  number: number;
  ref: string;
  hash: string;
  rows: number;
  splits: Record<string, number>;
  schema: { name: string; type: string }[];
  quarantined: number;
  removed: number;
  source: { name: string; format: string; sha256: string; size: number; encoding: string; rows: number };
  description: string;
  created_at: string;
  created_by: string;
}
export interface StepReport {
  step: string;
  rows_in: number;
  rows_out: number;
  changed: number;
  counts: Record<string, number>;
  examples: Record<string, unknown>[];
}
export interface ColumnProfile {
  name: string;
  type: string;
  missing: number;
  distinct: number;
  distinct_capped: boolean;
  near_constant: boolean;
  top: { value: string; count: number }[];
  characters?: Record<string, number>;
  words?: Record<string, number>;
  numbers?: Record<string, number>;
  outliers: number;
}
export interface DatasetProfile {
  rows: number;
  exact_duplicates: number;
  columns: ColumnProfile[];
  labels: Record<string, Record<string, number>>;
  text: {
    rows: number;
    languages: Record<string, number>;
    personal_data: Record<string, number>;
    rows_with_personal_data: number;
    near_duplicates: number;
  };
}
export interface DatasetDetail extends DatasetVersion {
  profile: DatasetProfile;
  recipe: unknown;
  recipe_report: StepReport[];
  card: string;
}
export interface DatasetRow {
  position: number;
  key: string;
  split: string;
  data: Record<string, unknown>;
}
export interface LeftOut {
  line: number;
  step: string;
  reason: string;
  excerpt: string;
  kept_line: number | null;
  similarity: number | null;
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
  method: string;
  recipe: Record<string, unknown>;
  base: string;
  dataset: string;
  state: RunState;
  progress: Record<string, unknown>;
  examples: Record<string, string>[];
  metrics: Record<string, number>;
  model: string | null;
  error: string | null;
  author: string;
  created_at: string;
  started_at: string | null;
  ended_at: string | null;
}
export interface MetricPoint {
  step: number;
  values: Record<string, number>;
  at: string;
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
  messages: unknown[];
  references: string[];
  text: string;
  error: string | null;
  latency_s: number | null;
  ttft_s: number | null;
  trace_id: string | null;
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
  id: string;
  name: string;
  description: string;
  versions: number;
  aliases: Record<string, number>;
  created_at: string;
}
export interface ModelVersion {
  id: string;
  model: string;
  number: number;
  ref: string;
  kind: string;
  base: string | null;
  digest: string;
  size: number;
  stage: string;
  metrics: Record<string, unknown>;
  author: string;
  created_at: string;
}
export interface ModelDetail extends Model {
  items: ModelVersion[];
  next: string | null;
}
export interface ModelFile {
  path: string;
  size: number;
  sha256: string;
}
export interface ModelVersionDetail extends ModelVersion {
  files: ModelFile[];
  card: string;
}
export interface Replica {
  position: number;
  state: string;
  reason: string;
  restarts: number;
  since: string;
}
export interface DeployedVersion {
  number: number;
  endpoint: string;
  model: string;
  engine: string;
  part: "production" | "canary" | "previous" | "retired";
  share: number;
  replicas: Replica[];
  author: string;
  created_at: string;
}
export interface Deployment {
  name: string;
  state: string;
  production: number;
  candidate: number | null;
  weight: number;
  previous: number | null;
  created_at: string;
  updated_at: string;
  versions: DeployedVersion[];
}
export interface DeploymentDetail extends Deployment {
  history: { action: string; number: number; detail: Record<string, unknown>; actor: string; at: string }[];
}
export interface CanarySide {
  part: string;
  model: string;
  calls: number;
  errors: number;
  error_rate: number | null;
  error_low: number | null;
  error_high: number | null;
  mean_latency_ms: number | null;
  cost_usd: number;
}
export interface CanaryReport {
  since: string;
  production: CanarySide;
  canary: CanarySide;
  latency_ratio: number | null;
  more_errors: boolean;
}
export interface Provider {
  name: string;
  kind: string;
  base_url: string;
  has_key: boolean;
  key_env: string;
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
