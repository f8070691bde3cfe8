/** Log records and metrics that applications sent by OpenTelemetry. */
export interface LogLine {
  id: number;
  at: string;
  at_ns: number;
  trace_id: string | null;
  span_id: string | null;
  severity: number;
  event: string | null;
  service: string | null;
  body: unknown;
  attributes: Record<string, unknown>;
  resource: Record<string, unknown>;
  scope: Record<string, unknown>;
}
export interface MetricName {
  name: string;
  unit: string;
  kind: string;
  series: number;
  labels: string[];
}
/** What one group reported in one hour. */
export interface SignalPoint {
  time: string;
  group: string;
  count: number;
  sum: number;
  low: number | null;
  high: number | null;
  p50: number | null;
  p95: number | null;
  p99: number | null;
}
