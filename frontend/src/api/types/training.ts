/** Training runs, searches over their parameters, and hosted fine-tuning. */
export interface TrainingRun {
  id: string;
  name: string;
  method: string;
  recipe: Record<string, unknown>;
  base: string;
  dataset: string;
  state: string;
  /** Where it is now: stage, step, steps, epoch, loss, eta_s, cost_usd; `reason` says why it waits. */
  progress: Record<string, unknown>;
  /** First rows as the model saw them: `context` and what was `trained` (preferences add `rejected`). */
  examples: Record<string, string>[];
  metrics: Record<string, number>;
  model: string | null;
  error: string | null;
  /** What helps against `error`, such as a smaller batch. */
  hint?: string | null;
  author: string;
  created_at: string;
  started_at: string | null;
  ended_at: string | null;
  environment?: Record<string, unknown> | null;
  /** What went in: kind, ref and the content's hash of each. */
  inputs?: Record<string, string>[];
  /** What somebody asked of a run that goes on: pause or cancel. */
  wish?: string | null;
  weights_hash?: string | null;
  note?: string;
  search?: string | null;
}
/** What was logged at one step; figures are in `values` or beside it. */
export interface MetricPoint {
  step: number;
  values?: Record<string, number>;
  at?: string;
  time?: string | number;
  [figure: string]: unknown;
}
export interface ReadyRecipe {
  name: string;
  /** The recipe as YAML. */
  text: string;
  description: string;
}
export interface PreviewSegment {
  text: string;
  trained: boolean;
}
export interface PreviewExample {
  row: number;
  /** Which reading of the row it is, such as chosen or rejected. */
  name: string;
  text: string;
  segments: PreviewSegment[];
  tokens: number;
  trained_tokens: number;
}
export interface TrainingPreview {
  problems: { row: number; message: string }[];
  /** All of them; `problems` may hold the first ones only. */
  problem_count: number;
  examples: PreviewExample[];
  rows: number;
}
export interface RunArtifact {
  path: string;
  size: number;
  sha256?: string;
  kind?: string;
  step?: number | null;
  created_at?: string;
}
export interface Objective {
  metric: string;
  direction: "maximize" | "minimize";
}
export interface SearchTrial {
  number: number;
  /** running, complete, pruned, failed or cancelled. */
  state: string;
  params: Record<string, unknown>;
  /** Objective → figure. */
  values: Record<string, number>;
  run_id: string | null;
  error: string | null;
}
export interface SpaceParam {
  type: "float" | "int" | "choice";
  low?: number;
  high?: number;
  log?: boolean;
  choices?: (string | number | boolean)[];
}
export interface SearchPlan {
  recipe: Record<string, unknown>;
  objectives: Objective[];
  sampler: { name: string };
  pruner: { name: string };
  trials: number;
  parallel: number;
  suite?: string;
}
export interface TrainingSearch {
  id: string;
  plan: Record<string, unknown>;
  /** queued, running, succeeded, stopped or failed. */
  state: string;
  error: string | null;
  /** Trials that no other beats in every objective. */
  pareto: number[];
  /** Objective → parameter → its share of what moves it. */
  importances: Record<string, Record<string, number>>;
  author: string;
  created_at: string;
  ended_at: string | null;
  /** Empty in lists. */
  trials: SearchTrial[];
}
/** How many training runs of the project may go on at once; null: as many as are started. */
export interface TrainingQuota {
  runs: number | null;
}
/** A fine-tuning job at a provider. */
export interface HostedJob {
  id: string;
  plan: Record<string, unknown>;
  dataset: string;
  /** queued, uploaded, running, succeeded, failed or cancelled. */
  state: string;
  model: string | null;
  error: string | null;
  author: string;
  created_at: string;
  ended_at: string | null;
}
