/** What the training pages work out from runs, their points and their recipes. */
import type { MetricPoint, SearchPlan, TrainingRun, TrainingSearch } from "../api/types.ts";
import { bytes, count, figure, ms, short, usd } from "./format.ts";
import { scaleOf, type Scale } from "./plot.ts";

/** Whether something still goes on by itself; a paused run waits for a person. */
export const busy = (state: string | undefined) => state === "queued" || state === "running" || state === "uploaded";

const NOT_FIGURES = new Set(["step", "steps", "epoch", "epochs", "eta_s", "eta_seconds", "attempt", "seed", "time"]);
const SAME: Record<string, string> = { tokens_per_second: "tokens_per_s" };

export const number = (v: unknown): number | null => (typeof v === "number" && Number.isFinite(v) ? v : null);

/** A point's figures by name, wherever the point keeps them. */
export function figuresOf(point: MetricPoint): Record<string, number> {
  const { step: _step, at: _at, values, ...rest } = point;
  const out: Record<string, number> = {};
  for (const [name, value] of Object.entries({ ...rest, ...values })) {
    const n = number(value);
    if (n !== null && !NOT_FIGURES.has(name)) out[SAME[name] ?? name] = n;
  }
  return out;
}

/** When a point was logged, in epoch milliseconds. */
export function timeOf(point: MetricPoint): number | null {
  const said = point.at ?? point.time;
  if (typeof said === "number") return said * 1000;
  const t = typeof said === "string" ? Date.parse(said) : Number.NaN;
  return Number.isNaN(t) ? null : t;
}

export interface Curve {
  name: string;
  /** Steps, or seconds since the first point. */
  x: number[];
  y: number[];
}

/** One curve per figure; a step that was done again after a resume counts as it was done last. */
export function curvesOf(points: MetricPoint[], axis: "step" | "time" = "step"): Curve[] {
  const first = points.map(timeOf).find((t) => t !== null) ?? 0;
  const last = new Map<number, MetricPoint>();
  for (const p of points) last.set(p.step, { ...last.get(p.step), ...p, values: { ...last.get(p.step)?.values, ...p.values } });
  const made = new Map<string, Curve>();
  for (const p of [...last.values()].sort((a, b) => a.step - b.step)) {
    const x = axis === "step" ? p.step : ((timeOf(p) ?? first) - first) / 1000;
    for (const [name, y] of Object.entries(figuresOf(p))) {
      let curve = made.get(name);
      if (!curve) made.set(name, (curve = { name, x: [], y: [] }));
      curve.x.push(x);
      curve.y.push(y);
    }
  }
  return [...made.values()].sort((a, b) => rank(a.name) - rank(b.name) || a.name.localeCompare(b.name));
}

const ORDER = ["loss", "eval_loss", "learning_rate", "grad_norm", "tokens_per_s"];
const rank = (name: string) => (ORDER.includes(name) ? ORDER.indexOf(name) : name.includes("loss") ? 5 : 6);

/** What the machine did, as opposed to what the model learned. */
export function isResource(name: string): boolean {
  return /^system\/|(_percent|_bytes|_usd|_w|_watts|power|_per_s|_per_second|temperature\w*)$/.test(name);
}

/** Exponential smoothing without the pull towards zero at the start. */
export function smoothed(values: number[], weight: number): number[] {
  if (weight <= 0) return values;
  let sum = 0;
  let mass = 0;
  return values.map((v) => {
    sum = sum * weight + v * (1 - weight);
    mass = mass * weight + (1 - weight);
    return sum / mass;
  });
}

/** How a figure of this name is written. */
export function writerOf(name: string): (n: number | null) => string {
  if (/_bytes$/.test(name)) return bytes;
  if (/_percent$/.test(name)) return (n) => (n == null ? "–" : `${n.toFixed(0)} %`);
  if (/_w$|_watts$/.test(name)) return (n) => (n == null ? "–" : `${figure(n)} W`);
  if (/_usd$/.test(name)) return usd;
  if (/_per_s$/.test(name)) return count;
  if (/(^|_)(latency|duration|time)_s$|^latency$/.test(name)) return (n) => ms(n == null ? null : n * 1000);
  return figure;
}

export const title = (name: string) => name.replace(/_per_s$/, " per second").replace(/_(percent|bytes|w|usd)$/, "").replace(/[_/]/g, " ");

/** `{lora: {r: 16}}` as `lora.r → 16`; lists are kept whole. */
export function flat(value: unknown, prefix = ""): Record<string, string | number> {
  const out: Record<string, string | number> = {};
  if (value === null || value === undefined || value === "") return out;
  if (typeof value === "object" && !Array.isArray(value)) {
    for (const [k, v] of Object.entries(value)) Object.assign(out, flat(v, prefix ? `${prefix}.${k}` : k));
    return out;
  }
  out[prefix] = typeof value === "number" || typeof value === "string" ? value : JSON.stringify(value);
  return out;
}

export interface Compared {
  name: string;
  values: (string | number | undefined)[];
  differs: boolean;
}

/** Rows of a table with one column per run; those that differ come first. */
export function beside(columns: Record<string, string | number>[]): Compared[] {
  const names = [...new Set(columns.flatMap((c) => Object.keys(c)))];
  const rows = names.map((name) => {
    const values = columns.map((c) => c[name]);
    return { name, values, differs: values.some((v) => v !== values[0]) };
  });
  return [...rows.filter((r) => r.differs), ...rows.filter((r) => !r.differs)];
}

export interface Axis {
  name: string;
  /** Values of a choice, in order; null for figures. */
  choices: string[] | null;
  scale: Scale;
  write: (v: number | string) => string;
}

/** What tells runs apart where they stand together: the name, and where two share it also the model or the id. */
export function labelsOf(runs: Pick<TrainingRun, "id" | "name" | "model">[]): string[] {
  const times = new Map<string, number>();
  for (const { name } of runs) times.set(name, (times.get(name) ?? 0) + 1);
  return runs.map((r) => (times.get(r.name) === 1 ? r.name : `${r.name} · ${r.model ?? short(r.id, 6)}`));
}

export interface Line {
  id: string;
  label: string;
  values: Record<string, string | number | undefined>;
}

/** Axes of parallel coordinates: figures as scales (by ratio when they span much), words as equal steps. */
export function axesOf(lines: Line[], names: string[]): Axis[] {
  return names.map((name) => {
    const values = lines.map((l) => l.values[name]).filter((v) => v !== undefined);
    const figures = values.filter((v): v is number => typeof v === "number");
    if (figures.length === values.length && figures.length) {
      const low = Math.min(...figures);
      const scale = scaleOf(figures, low > 0 && Math.max(...figures) / low >= 50);
      const write = writerOf(name);
      return { name, choices: null, scale, write: (v) => write(Number(v)) };
    }
    const choices = [...new Set(values.map(String))].sort();
    return { name, choices, scale: scaleOf([0, Math.max(1, choices.length - 1)]), write: String };
  });
}

/** How high on its axis (0 to 1) a line passes; null where it has no value. */
export function heightOn(axis: Axis, value: string | number | undefined): number | null {
  if (value === undefined) return null;
  if (!axis.choices) return axis.scale.at(Number(value));
  return axis.choices.length === 1 ? 0.5 : axis.scale.at(axis.choices.indexOf(String(value)));
}

/** Names worth an axis: those that are not the same for all. */
export function varying(lines: Line[]): string[] {
  const names = [...new Set(lines.flatMap((l) => Object.keys(l.values)))];
  return names.filter((name) => new Set(lines.map((l) => l.values[name])).size > 1);
}

/** What a run's last word on its figures is: those it ended with, or its newest point's. */
export function outcome(run: TrainingRun, points: MetricPoint[] = []): Record<string, number> {
  const last: Record<string, number> = {};
  for (const p of points) Object.assign(last, figuresOf(p));
  return { ...last, ...Object.fromEntries(Object.entries(run.metrics).map(([k, v]) => [SAME[k] ?? k, v])) };
}

/** What a search was asked to do: the parts that pages read. */
export const planOf = (search: TrainingSearch) => search.plan as unknown as SearchPlan;
