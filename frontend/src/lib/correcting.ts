/** What changes stored traces afterwards: requests from forms, and what came of them. */
import { full, plural, usd } from "./format.ts";

export const FORMATS: [format: string, label: string][] = [
  ["langfuse", "Langfuse"],
  ["phoenix", "Phoenix"],
  ["mlflow", "MLflow"],
  ["jsonl", "Penstock, JSON lines"],
  ["parquet", "Penstock, Parquet"],
];

export interface Imported {
  rows?: number;
  spans?: number;
  traces?: number;
  scores?: number;
  quarantined?: number;
  problems?: { line: number; reason: string; excerpt: string }[];
  job?: string | null;
}

export function importedSaid(done: Imported): string {
  const scores = done.scores ? `, ${plural(done.scores, "score")}` : "";
  const aside = done.quarantined ? `; ${plural(done.quarantined, "row")} could not be read` : "";
  return `${plural(done.spans ?? 0, "span")} of ${plural(done.traces ?? 0, "trace")}${scores} imported from ${plural(done.rows ?? 0, "row")}${aside}.`;
}

export interface RedactDraft {
  query: string;
  pii: boolean;
  secrets: boolean;
  pattern: string;
  fields: string;
}
export const BLANK_REDACTION: RedactDraft = { query: "", pii: true, secrets: false, pattern: "", fields: "" };

export interface Redacted {
  looked_at?: number;
  traces?: number;
  spans?: number;
  job?: string | null;
}

/** The request of a draft; throws what to say when it would take nothing out. */
export function redactionOf(draft: RedactDraft): Record<string, unknown> {
  const fields = draft.fields.split(/[\s,]+/).filter(Boolean);
  const detectors = { ...(draft.pii ? { pii: {} } : {}), ...(draft.secrets ? { secrets: {} } : {}) };
  const patterns = draft.pattern.trim() ? [{ name: "redacted", pattern: draft.pattern.trim() }] : [];
  if (!fields.length && !patterns.length && !Object.keys(detectors).length) throw new Error("Say what is to be taken out.");
  const query = draft.query.trim();
  return { ...(query ? { query } : { filters: {} }), detectors, patterns, fields };
}

export function redactedSaid(done: Redacted, would: boolean): string {
  const verb = would ? "would be changed" : "changed";
  return `${plural(done.spans ?? 0, "span")} of ${plural(done.traces ?? 0, "trace")} ${verb}; ${full(done.looked_at ?? 0)} looked at.`;
}

export interface RepriceDraft {
  since: string;
  until: string;
  model: string;
  given: boolean;
}
export interface Repriced {
  calls?: number | null;
  changed?: number | null;
  unpriced?: number | null;
  before_usd?: number | null;
  after_usd?: number | null;
  job?: string | null;
}

/** The request of a draft, days in local time; throws what to say when there is no beginning. */
export function repricingOf(draft: RepriceDraft): Record<string, unknown> {
  if (!draft.since) throw new Error("Say from which day on.");
  if (draft.until && draft.until <= draft.since) throw new Error("The first day must be before the last.");
  const at = (day: string) => new Date(`${day}T00:00`).toISOString();
  return { since: at(draft.since), ...(draft.until ? { until: at(draft.until) } : {}), ...(draft.model.trim() ? { model: draft.model.trim() } : {}), given: draft.given };
}

export function repricedSaid(done: Repriced, would: boolean): string {
  const unknown = done.unpriced ? ` ${plural(done.unpriced, "call")} have no known price.` : "";
  return `${plural(done.changed ?? 0, "call")} of ${full(done.calls ?? 0)} ${would ? "would cost something else" : "cost something else now"}: ${usd(done.before_usd)} ${would ? "would become" : "became"} ${usd(done.after_usd)}.${unknown}`;
}
