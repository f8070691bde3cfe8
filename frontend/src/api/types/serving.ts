/** Deployments. */
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
