/** Experiments and the runs that any trainer logs into them. */
export interface Experiment {
  id: string;
  name: string;
  /** active or deleted. */
  state: string;
  created_at: string;
  updated_at: string;
  tags: Record<string, string>;
  /** Markdown. */
  note: string;
  runs: number;
  running: number;
  last_run_at: string | null;
}
export interface TrackedMetric {
  key: string;
  /** Null when it is no finite number; `text` says which. */
  value: number | null;
  text: string | null;
  step: number;
  at_ms: number;
}
export interface TrackedData {
  name: string;
  digest: string;
  source_type: string;
  source: string;
  /** The dataset version here, as name@number; empty for other data. */
  version: string;
  tags: Record<string, string>;
}
export interface TrackedRun {
  id: string;
  experiment_id: string;
  name: string;
  /** running, scheduled, finished, failed or killed. */
  status: string;
  user: string;
  state: string;
  started_at: string;
  ended_at: string | null;
  params: Record<string, string>;
  tags: Record<string, string>;
  /** The last value of each. */
  metrics: Record<string, TrackedMetric>;
  datasets: TrackedData[];
  models: { model_id: string; role: string; step: number }[];
  /** Markdown. */
  note: string;
}
/** A name that runs use: how many have it, and with how many different values. */
export interface RunKey {
  key: string;
  runs: number;
  values: number;
}
export interface RunKeys {
  params: RunKey[];
  metrics: RunKey[];
  tags: RunKey[];
}
/** One metric of one run, by step. */
export interface TrackedSeries {
  run_id: string;
  run: string;
  key: string;
  points: TrackedMetric[];
}
export interface TrackedFile {
  path: string;
  is_dir: boolean;
  size: number;
  sha256: string;
}
/** A model that a run saved or read. */
export interface LoggedModel {
  id: string;
  run_id: string;
  name: string;
  type: string;
  status: string;
  created_at: string;
  /** input: the run read it; output: the run made it. */
  role: string;
  params: Record<string, string>;
  tags: Record<string, string>;
}
