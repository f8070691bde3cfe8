/** Versions of datasets beside each other, and what their rows have to meet. */
import type { DatasetProfile, RowExample } from "../api/types.ts";

export interface Move {
  name: string;
  before: number;
  after: number;
  /** Whether more of it is a worse dataset; undefined when it is neither. */
  bad?: boolean;
}

/** The figures that cleaning is meant to move, of two versions; those that only one of them has are left out. */
export function moved(before: DatasetProfile, after: DatasetProfile): Move[] {
  const sum = (p: DatasetProfile) => p.columns.reduce((n, c) => n + c.missing, 0);
  const mean = (p: DatasetProfile, name: string, kind: "characters" | "tokens") => p.columns.find((c) => c.name === name)?.[kind]?.mean;
  const all: [string, number | undefined, number | undefined, boolean?][] = [
    ["Rows", before.rows, after.rows],
    ["Exact duplicates", before.exact_duplicates, after.exact_duplicates, true],
    ["Near duplicates", before.text?.near_duplicates, after.text?.near_duplicates, true],
    ["Rows with personal data", before.text?.rows_with_personal_data, after.text?.rows_with_personal_data, true],
    ["Rows with toxic words", before.text?.rows_with_toxic_words, after.text?.rows_with_toxic_words, true],
    ["Missing values", sum(before), sum(after), true],
    ...after.columns.flatMap((c): [string, number | undefined, number | undefined][] => [
      [`Characters of ${c.name} (mean)`, mean(before, c.name, "characters"), mean(after, c.name, "characters")],
      [`Tokens of ${c.name} (mean)`, mean(before, c.name, "tokens"), mean(after, c.name, "tokens")],
    ]),
  ];
  return all.flatMap(([name, a, b, bad]) => (a === undefined || b === undefined ? [] : [{ name, before: a, after: b, bad }]));
}

/** The columns of a changed row: those that differ first, then the others. */
export function fieldsOf(row: RowExample): { name: string; differs: boolean; before: unknown; after: unknown }[] {
  const names = [...new Set([...Object.keys(row.before ?? {}), ...Object.keys(row.after ?? {})])];
  const found = names.map((name) => ({ name, before: row.before?.[name], after: row.after?.[name], differs: row.change === "changed" && JSON.stringify(row.before?.[name]) !== JSON.stringify(row.after?.[name]) }));
  return [...found.filter((f) => f.differs), ...found.filter((f) => !f.differs)];
}

export const valueText = (v: unknown): string => (v === undefined || v === null ? "–" : typeof v === "string" ? v : JSON.stringify(v));

const WORDS: Record<string, (c: Record<string, unknown>) => string> = {
  type: (c) => `${c.column} is ${c.type}`,
  required: (c) => `${c.column} is never missing`,
  unique: (c) => `${(c.columns as string[]).join(", ")} is never repeated`,
  range: (c) => `${c.column} is ${[c.min != null && `at least ${c.min}`, c.max != null && `at most ${c.max}`].filter(Boolean).join(" and ")}`,
  length: (c) => `${c.column} has ${c.min ? `${c.min} to ` : "up to "}${c.max ?? "any number of"} characters`,
  regex: (c) => `${c.column} looks like ${c.pattern}`,
  allowed: (c) => `${c.column} is one of ${(c.values as unknown[]).map(valueText).join(", ")}`,
  condition: (c) => `${c.sql} holds`,
  columns: (c) => `the columns are ${(c.columns as string[]).join(", ")}${c.extra === false ? " and no others" : ""}`,
  missing: (c) => `at most ${Number(c.max) * 100} % of ${c.column} is missing`,
  rows: (c) => `there are ${c.min ? `at least ${c.min}` : ""}${c.min && c.max ? " and " : ""}${c.max ? `at most ${c.max}` : ""} rows`,
  freshness: (c) => `the newest ${c.column} is at most ${c.hours} hours old`,
};

/** A check as a sentence; as it is written when it is of a kind this page does not know. */
export function sentence(check: Record<string, unknown>): string {
  const words = WORDS[String(check.check)];
  if (!words) return JSON.stringify(check);
  try {
    return words(check);
  } catch {
    return JSON.stringify(check); // A list that should be there is not.
  }
}

/** Where the marks of a spread stand, in per cent of its width: always inside, even where the figures contradict each other. */
export function spreadOf(s: Record<string, number>): { low: number; high: number; from: number; to: number; middle: number; at: (v: number) => number } {
  const { min = 0, max = 0 } = s;
  const { p5 = min, median = min, p95 = max } = s;
  const all = [min, max, p5, median, p95].filter((v) => Number.isFinite(v));
  const [low, high] = all.length ? [Math.min(...all), Math.max(...all)] : [0, 0];
  const at = (v: number) => (Number.isFinite(v) && high > low ? 2 + ((v - low) / (high - low)) * 96 : 2);
  return { low, high, from: at(Math.min(p5, p95)), to: at(Math.max(p5, p95)), middle: at(median), at };
}
