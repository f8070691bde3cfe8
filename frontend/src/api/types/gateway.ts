/** Providers, routes, and how their targets are. */
export interface Provider {
  name: string;
  kind: string;
  base_url: string;
  has_key: boolean;
  key_env: string;
  options: Record<string, unknown>;
}
export interface Probe {
  ok: boolean;
  status: number | null;
  latency_ms: number;
  message: string;
}
export interface RouteTarget {
  provider: string;
  model: string;
  weight: number;
  /** Go on with this route, instead of provider and model. */
  route: string;
}
export interface Breaker {
  failures: number;
  error_rate: number;
  min_calls: number;
  window: number;
  seconds: number;
  probes: number;
}
export interface Shadow {
  provider: string;
  model: string;
  share: number;
  max_in_flight: number;
  usd_per_day: number | null;
  bill_key: boolean;
}
export interface Arm {
  name: string;
  targets: RouteTarget[];
  weight: number;
}
export interface RoutePlan {
  strategy: string;
  targets: RouteTarget[];
  retries: number;
  timeout: number | null;
  first_token_timeout: number | null;
  connect_timeout: number | null;
  idle_timeout: number | null;
  sticky_by: string;
  hedge_after_ms: number | null;
  max_concurrent: number | null;
  queue: number;
  queue_seconds: number;
  breaker: Breaker;
  shadow: Shadow | null;
  arms: Arm[];
}
export interface GatewayRoute extends RoutePlan {
  name: string;
}
export interface TargetHealth {
  provider: string;
  model: string;
  state: string;
  in_flight: number;
  ewma_ms: number;
  requests: number;
  errors: number;
  last_error: string;
  last_error_at: string | null;
  last_ok_at: string | null;
}
