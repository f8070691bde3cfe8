/** What the experiment pages work out from tracked runs. */
import type { MetricPoint, RunKeys, TrackedMetric, TrackedRun, TrackedSeries } from "../api/types.ts";
import { figure } from "./format.ts";
import type { Line } from "./runs.ts";

export const going = (status: string | undefined) => status === "running" || status === "scheduled";

/** A column of the table of runs, as it stands in the address: `m:loss`, `p:lr`, `t:team`, or a name of the run's own. */
export type ColumnKey = string;

const KINDS: Record<string, string> = { m: "metrics", p: "params", t: "tags" };
const OWN: Record<string, string> = { name: "run_name", status: "status", started: "start_time", user: "user_id" };

export const kindOf = (column: ColumnKey) => (column[1] === ":" ? column[0]! : "");
export const nameOf = (column: ColumnKey) => (column[1] === ":" ? column.slice(2) : column);

/** What the filter language calls a column; null for one that runs cannot be ordered by. */
export function fieldOf(column: ColumnKey): string | null {
  const kind = KINDS[kindOf(column)];
  if (!kind) return OWN[column] ?? null;
  const name = nameOf(column);
  // Between backticks everything is allowed but backticks.
  return name.includes("`") ? null : `${kind}.\`${name}\``;
}

/** `-m:loss` in the address, as the order that the API reads; newest first when nothing is asked. */
export function orderOf(sort: string | undefined): string {
  const down = sort?.startsWith("-") ?? false;
  const field = sort ? fieldOf(down ? sort.slice(1) : sort) : null;
  return field ? `${field} ${down ? "DESC" : "ASC"}` : "";
}

/** A text between single quotes, as the filter language writes it. */
export const quoted = (text: string) => `'${text.replace(/\\/g, "\\\\").replace(/'/g, "\\'")}'`;

/** What a search field asks for: a filter as it stands, or words that names of runs hold. */
export function filterOf(text: string, field = "run_name"): string {
  const said = text.trim();
  if (!said) return "";
  const isFilter = /[=<>]|\s(i?like|rlike|in|is|not)\s/i.test(said);
  return isFilter ? said : `${field} ILIKE ${quoted(`%${said}%`)}`;
}

/** Columns that say the most where nobody chose: the metrics most runs have, and the parameters that differ. */
export function usualColumns(keys: RunKeys): ColumnKey[] {
  const most = <T extends { runs: number }>(items: T[], n: number) => [...items].sort((a, b) => b.runs - a.runs).slice(0, n);
  const metrics = most(keys.metrics.filter((k) => !k.key.startsWith("system/")), 4);
  const differing = keys.params.filter((k) => k.values > 1);
  const params = most(differing.length ? differing : keys.params, 4);
  return [...metrics.map((k) => `m:${k.key}`), ...params.map((k) => `p:${k.key}`)];
}

/** The columns an address asks for; the usual ones when it asks for none. Keys may hold commas. */
export function readColumns(text: string | undefined, keys: RunKeys): ColumnKey[] {
  if (text === undefined) return usualColumns(keys);
  return text
    .split(",")
    .filter(Boolean)
    .map((part) => decodeURIComponent(part));
}

export const writeColumns = (columns: ColumnKey[]) => columns.map((c) => encodeURIComponent(c)).join(",") || ",";

/** A metric as people read it, also when it is no number. */
export const written = (metric: TrackedMetric | undefined) => (metric ? (metric.text ?? figure(metric.value)) : "–");

/** `0.1` and `1e-4` are figures, `adam` and `1.2.3` are words. */
export function figureOf(text: string): number | string {
  return /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i.test(text.trim()) ? Number(text) : text;
}

/** A run's value in a column, for drawing and saving; undefined where it has none. */
export function valueIn(run: TrackedRun, column: ColumnKey): number | string | undefined {
  const name = nameOf(column);
  switch (kindOf(column)) {
    case "m":
      return run.metrics[name]?.value ?? undefined;
    case "p":
      return run.params[name] === undefined ? undefined : figureOf(run.params[name]);
    case "t":
      return run.tags[name];
    default:
      return undefined;
  }
}

/** Lines of parallel coordinates over chosen columns. Parameters and metrics may share a name. */
export function linesOf(runs: TrackedRun[], labels: string[], columns: ColumnKey[]): Line[] {
  const metrics = new Set(columns.filter((c) => kindOf(c) === "m").map(nameOf));
  return runs.map((run, i) => ({
    id: run.id,
    label: labels[i] ?? run.name,
    values: Object.fromEntries(columns.map((c) => [axisOf(c, metrics), valueIn(run, c)])),
  }));
}

/** What a column's axis is called. */
export function axisOf(column: ColumnKey, metrics: Set<string>): string {
  const name = nameOf(column);
  return kindOf(column) !== "m" && metrics.has(name) ? `${name} (given)` : name;
}

/** Curves of a run from the histories of its metrics; what is no number is left out. */
export function pointsOf(series: TrackedSeries[], runId: string): MetricPoint[] {
  const byStep = new Map<number, MetricPoint>();
  for (const one of series) {
    if (one.run_id !== runId) continue;
    for (const p of one.points) {
      if (p.value === null) continue;
      const at = byStep.get(p.step) ?? { step: p.step, values: {}, ...(p.at_ms ? { time: p.at_ms / 1000 } : {}) };
      at.values![p.key] = p.value;
      byStep.set(p.step, at);
    }
  }
  return [...byStep.values()].sort((a, b) => a.step - b.step);
}

/** Metrics worth a curve: some run has more than one value of them. */
export const curved = (series: TrackedSeries[]) => [...new Set(series.filter((s) => s.points.length > 1).map((s) => s.key))];

/** What a program is known by, from the tags that MLflow's client and our SDK set. */
export interface CodeVersion {
  program: string;
  entry: string;
  commit: string;
  branch: string;
  repository: string;
  kind: string;
}

export function codeOf(tags: Record<string, string>): CodeVersion {
  const said = (...names: string[]) => names.map((n) => tags[`mlflow.${n}`]).find(Boolean) ?? "";
  return {
    program: said("source.name"),
    entry: said("project.entryPoint"),
    commit: said("source.git.commit", "gitCommit"),
    branch: said("source.git.branch", "gitBranchName"),
    repository: said("source.git.repoURL", "gitRepoURL"),
    kind: said("source.type").toLowerCase(),
  };
}

/** The page of a commit, where the repository is on the web; null elsewhere. */
export function commitHref(code: CodeVersion): string | null {
  const at = /^(?:https?:\/\/|git@|ssh:\/\/git@)([\w.-]+)[:/](.+?)(?:\.git)?\/?$/.exec(code.repository);
  return at && code.commit ? `https://${at[1]}/${at[2]}/commit/${code.commit}` : null;
}

/** Tags of people, without those that clients keep for themselves. */
export const ownTags = (tags: Record<string, string>) => Object.entries(tags).filter(([key]) => !key.startsWith("mlflow.") && !SIGNS.includes(key));

/** Why the server failed a run of which nothing was heard any more. */
export const SILENT = "penstock.silent";
const SIGNS = ["penstock.heartbeat", SILENT];

/** A program's name without its folders. */
export const programOf = (run: TrackedRun) => codeOf(run.tags).program.split(/[\\/]/).pop() ?? "";
