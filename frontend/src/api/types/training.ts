/** Training runs. */
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
