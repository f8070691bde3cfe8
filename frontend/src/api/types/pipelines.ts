/** Pipelines: steps in YAML that run one after the other. */
export interface PipelineStep {
  name: string;
  result: Record<string, unknown>;
  seconds: number;
  started_at: string;
  ended_at: string;
}
/** What was written: each step is `{name, KIND: options}`. */
export interface PipelineDocument {
  name: string;
  steps: Record<string, unknown>[];
  /** What a run may be given; null has to be. */
  parameters?: Record<string, unknown>;
}
export interface PipelineRun {
  id: string;
  pipeline: string;
  number: number;
  inputs: { document?: PipelineDocument; values?: Record<string, unknown>; [other: string]: unknown };
  state: string;
  /** For what it waits. */
  reason: string | null;
  error: string | null;
  created_at: string;
  ended_at: string | null;
  /** Finished ones, in order. */
  steps: PipelineStep[];
}
export interface Pipeline {
  name: string;
  /** Null for one that is written in Python. */
  document: PipelineDocument | null;
  runs: number;
  latest: PipelineRun;
}
