/** Deployments. */
export interface Replica {
  /** VERSION.POSITION, such as 2.0. */
  id?: string;
  position: number;
  state: string;
  reason: string;
  error?: string | null;
  restarts: number;
  since: string;
  pid?: number | null;
  port?: number | null;
  gpus?: number[];
  adapters?: string[];
  /** Of one core: 200 is two cores. Null, like the others, where the machine or the engine does not tell. */
  cpu_percent?: number | null;
  memory_bytes?: number | null;
  gpu_percent?: number | null;
  running?: number | null;
  waiting?: number | null;
}
export interface Autoscale {
  min: number;
  max: number;
  requests?: number;
  latency_ms?: number | null;
  idle?: number;
  patience?: number;
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
  autoscale?: Autoscale | null;
  priority?: number;
  /** Name → registry reference; each answers as `deployment:name`. */
  adapters?: Record<string, string>;
  queue?: { running: number; waiting: number };
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
/** How much of the machine a project's deployments may take; null: as much as there is. */
export interface Quota {
  replicas: number | null;
  memory_bytes: number | null;
  gpus: number | null;
}
