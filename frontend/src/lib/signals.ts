/** How logs and metrics of OpenTelemetry are read by people. */
import type { LogLine, SignalPoint } from "../api/types.ts";
import { count, figure, ms, type Num } from "./format.ts";

/** Name → the lowest of OpenTelemetry's numbers, the severest first. */
export const SEVERITIES: [name: string, lowest: number][] = [
  ["fatal", 21],
  ["error", 17],
  ["warning", 13],
  ["info", 9],
  ["debug", 5],
  ["trace", 1],
];

export function severityName(number: number): string {
  return SEVERITIES.find(([, lowest]) => number >= lowest)?.[0] ?? "";
}

export function severityTone(number: number): string {
  return number >= 17 ? "bad" : number >= 13 ? "wait" : "plain";
}

/** What a record says, in one line: its body, else its attributes. */
export function saidOf(log: LogLine): string {
  const said = log.body ?? (Object.keys(log.attributes).length ? log.attributes : null);
  return typeof said === "string" ? said : said == null ? "" : JSON.stringify(said);
}

/** How a metric's values are written: seconds as durations, counts of things as numbers. */
export function formatOf(unit: string): (n: Num) => string {
  if (unit === "s") return (n) => ms(n == null ? n : n * 1000);
  if (unit === "ms") return ms;
  return unit.startsWith("{") ? count : figure;
}

export type Measure = "sum" | "mean" | "low" | "high" | "p50" | "p95" | "p99" | "count";

/** What can be drawn of a kind of metric, the usual first. */
export function measuresOf(kind: string): Measure[] {
  if (kind === "counter") return ["sum", "count"];
  return kind === "gauge" ? ["mean", "low", "high"] : ["p95", "p50", "p99", "mean", "count", "sum"];
}

export function valueOf(point: SignalPoint, measure: Measure): number | null {
  return measure === "mean" ? (point.count ? point.sum / point.count : null) : point[measure];
}

export interface MetricGroup {
  group: string;
  count: number;
  sum: number;
  low: number | null;
  high: number | null;
}

const least = (a: number | null, b: number | null) => (a == null ? b : b == null ? a : Math.min(a, b));
const most = (a: number | null, b: number | null) => (a == null ? b : b == null ? a : Math.max(a, b));

/** Each group over the whole time, the busiest first. */
export function groupsOf(points: SignalPoint[]): MetricGroup[] {
  const found = new Map<string, MetricGroup>();
  for (const p of points) {
    const g = found.get(p.group);
    if (g) found.set(p.group, { group: p.group, count: g.count + p.count, sum: g.sum + p.sum, low: least(g.low, p.low), high: most(g.high, p.high) });
    else found.set(p.group, { group: p.group, count: p.count, sum: p.sum, low: p.low, high: p.high });
  }
  return [...found.values()].sort((a, b) => b.count - a.count || (a.group < b.group ? -1 : 1));
}

const HOUR = 3600;

/** One line for each group over every hour from the first to the last point; null where nothing was reported. */
export function linesOf(points: SignalPoint[], groups: string[], measure: Measure): { x: number[]; values: (number | null)[][] } {
  const at = (p: SignalPoint) => Date.parse(p.time) / 1000;
  const times = points.map(at);
  const first = Math.min(...times);
  const length = points.length ? (Math.max(...times) - first) / HOUR + 1 : 0;
  const x = Array.from({ length }, (_, i) => first + i * HOUR);
  const rank = new Map(groups.map((g, i) => [g, i]));
  const values = groups.map(() => new Array<number | null>(length).fill(null));
  for (const p of points) {
    const line = values[rank.get(p.group) ?? -1];
    if (line) line[(at(p) - first) / HOUR] = valueOf(p, measure);
  }
  return { x, values };
}
