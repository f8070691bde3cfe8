/** Evaluations, gates and comparisons. */

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
export interface EvalProgress {
  done?: number;
  total?: number;
  errors?: number;
  judge_errors?: number;
  calls?: number;
  /** Calls that were answered from the cache. */
  cached?: number;
  cost_usd?: number | null;
  eta_s?: number | null;
}
export interface EvalRun {
  id: string;
  suite: string;
  spec?: unknown;
  dataset: string;
  target: string;
  model: string;
  state: string;
  error?: string;
  total: number;
  done: number;
  errors: number;
  /** As of the last second; empty before a run starts and for old runs. */
  progress?: EvalProgress;
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
  /** Scorer → why it judged as it did. */
  notes?: Record<string, unknown>;
  /** Why a judge gave no verdict. */
  score_error?: string | null;
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
export interface ComparedRuns {
  baseline_id: string;
  candidate_id: string;
  shared: number;
  only_baseline: number;
  only_candidate: number;
  changed: number;
  failed: number;
  /** Ids of samples that were not compared, some of each kind. */
  left_out?: { only_baseline: string[]; only_candidate: string[]; changed: string[]; failed: string[] };
  /** The worst regression first. */
  differences: Difference[];
}
export interface Comparison extends ComparedRuns {
  /** Every candidate's, the first one's included. */
  comparisons?: ComparedRuns[];
}
export interface ComparedSide {
  run_id: string;
  text: string;
  error: string | null;
  latency_s: number | null;
  trace_id: string | null;
  scores: Record<string, number>;
  /** What turns the baseline's answer into this one, by word. */
  pieces: { op: "equal" | "insert" | "delete"; text: string }[];
}
/** One sample in all runs. */
export interface ComparedRow {
  sample_id: string;
  ordinal: number;
  split: string;
  status: "compared" | "changed" | "failed" | "only_baseline" | "only_candidate";
  messages: unknown[];
  references: string[];
  /** The baseline's, then each candidate's. */
  sides: (ComparedSide | null)[];
  /** How much worse the worst candidate is; negative when better. */
  regression: number | null;
}
export interface Figure {
  value: number;
  low: number;
  high: number;
  n: number;
}
/** How far a model's judgement is that of people, on one metric. */
export interface Judge {
  id: string;
  scorer: string;
  options: Record<string, unknown>;
  metric: string;
  run_id: string;
  /** Agreement beyond chance. */
  kappa: Figure | null;
  /** Share of equal labels. */
  agreement: number;
  n: number;
  threshold: number;
  /** What people and the judge gave the labelled samples on average. */
  people: number;
  judged: number;
  /** What people would have given the whole run. */
  corrected: Figure | null;
  reason: string;
  may_gate: boolean;
  actor: string;
  created_at: string;
}
