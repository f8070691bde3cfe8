/** Evaluations beside each other: addresses, and how far along a run is. */
import type { ComparedRow, EvalRun } from "../api/types.ts";

/** The runs of a comparison from the address: the baseline, then every candidate. */
export function runsOf(search: Record<string, string>): string[] {
  return [search.baseline ?? "", search.candidate ?? "", ...(search.more ?? "").split(",")].filter(Boolean);
}

/** A question about several candidates; each further one is a value of its own. */
export function compareQuery(search: Record<string, string>, more: Record<string, string | undefined> = {}): string {
  const out = new URLSearchParams({ baseline: search.baseline ?? "", candidate: search.candidate ?? "" });
  for (const id of (search.more ?? "").split(",").filter(Boolean)) out.append("more", id);
  for (const [name, value] of Object.entries(more)) if (value) out.set(name, value);
  return out.toString();
}

export interface Pace {
  done: number;
  total: number;
  errors: number;
  /** 0 to 1. */
  share: number;
  etaMs: number | null;
  costUsd: number | null;
  cached: number;
}

/** How far a run is: what it says of itself in the last second, else what its rows say. */
export function paceOf(run: Pick<EvalRun, "done" | "total" | "errors" | "progress">): Pace {
  const p = run.progress ?? {};
  const done = Math.max(run.done, p.done ?? 0);
  const total = Math.max(run.total, p.total ?? 0, done);
  return { done, total, errors: Math.max(run.errors, p.errors ?? 0), share: total ? done / total : 0, etaMs: p.eta_s == null ? null : p.eta_s * 1000, costUsd: p.cost_usd ?? null, cached: p.cached ?? 0 };
}

/** Scores of a row's sides: name → the baseline's and each candidate's; undefined where there is none. */
export function scoresOf(row: Pick<ComparedRow, "sides">): [string, (number | undefined)[]][] {
  const names = [...new Set(row.sides.flatMap((s) => Object.keys(s?.scores ?? {})))].sort();
  return names.map((name) => [name, row.sides.map((s) => s?.scores[name])]);
}

/** The rows that a list shows: all, or those on which some candidate is worse, better, or which could not be compared. */
export function shownRows(rows: ComparedRow[], which: string): ComparedRow[] {
  if (which === "worse") return rows.filter((r) => (r.regression ?? 0) > 0);
  if (which === "better") return rows.filter((r) => (r.regression ?? 0) < 0);
  if (which === "apart") return rows.filter((r) => r.status !== "compared");
  return rows;
}
