/** Evaluations, gates and comparisons. */
import type { RunState } from "./training.ts";

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
