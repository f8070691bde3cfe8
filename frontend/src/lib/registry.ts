/** What models' pages read out of records whose parts may be missing or of several shapes. */
import type { Model, ScannedFile, StageRule } from "../api/types.ts";
import { figure } from "./format.ts";

export const STAGES = ["development", "staging", "production", "archived"];

/** A metric as it was registered: a number, or a value with its interval; anything else is shown as it is. */
export function shown(v: unknown): string {
  if (typeof v === "number") return figure(v);
  const o = v as { value?: unknown; low?: unknown; high?: unknown } | null;
  if (o && typeof o.value === "number") return `${figure(o.value)}${typeof o.low === "number" && typeof o.high === "number" ? ` (${figure(o.low)} to ${figure(o.high)})` : ""}`;
  return typeof v === "string" ? v : (JSON.stringify(v) ?? "–");
}

export const tagsOf = (model: Model): string[] => model.tags ?? [];

export interface Scan {
  safe: boolean;
  at: string | null;
  /** Format → how many files are of it. */
  formats: Record<string, number>;
  findings: ScannedFile[];
}

const words = (v: unknown): string[] => (Array.isArray(v) ? v.map(String) : []);

/** What a file scan found; null when there was none. */
export function scanOf(value: unknown): Scan | null {
  if (typeof value !== "object" || value === null) return null;
  const scan = value as { at?: unknown; safe?: unknown; files?: unknown; findings?: unknown };
  const list = Array.isArray(scan.findings) ? (scan.findings as Record<string, unknown>[]) : [];
  const findings = list.map((f) => ({ path: String(f.path ?? ""), format: String(f.format ?? ""), imports: words(f.imports), dangerous: words(f.dangerous) }));
  const formats = typeof scan.files === "object" && scan.files !== null && !Array.isArray(scan.files) ? (scan.files as Record<string, number>) : {};
  return { safe: scan.safe === true, at: typeof scan.at === "string" ? scan.at : null, formats, findings };
}

/** A rule in one sentence. */
export function ruleText(rule: StageRule): string {
  const parts = [
    rule.after?.length ? `from ${rule.after.join(" or ")}` : "",
    ...(rule.evaluations ?? []).map((e) => `${e.suite}${e.metric ? `: ${e.metric}${e.bound && e.bound !== "value" ? ` (${e.bound} end)` : ""}${e.min != null ? ` ≥ ${figure(e.min)}` : ""}${e.max != null ? ` ≤ ${figure(e.max)}` : ""}` : " finished"}${e.gate ? ", past its gate" : ""}`),
    rule.papers?.length ? `with ${rule.papers.map((p) => p.replace(/_/g, " ")).join(", ")}` : "",
    rule.approvals ? `${rule.approvals} other ${rule.approvals === 1 ? "person" : "people"}${rule.role ? ` (${rule.role} or above)` : ""} must approve` : "",
    rule.alone ? "what stood there is archived" : "",
  ].filter(Boolean);
  return parts.length ? parts.join("; ") : "freely";
}

export const PAPERS: [string, string][] = [
  ["licence", "a licence"],
  ["intended_use", "its intended use"],
  ["signature", "a signature of inputs and outputs"],
  ["scan", "a clean file scan"],
  ["manifest", "a signed manifest that holds"],
];

export interface EvaluationDraft {
  suite: string;
  metric: string;
  min: string;
  max: string;
  bound: string;
  gate: boolean;
}
export const BLANK_EVALUATION: EvaluationDraft = { suite: "", metric: "", min: "", max: "", bound: "low", gate: false };

/** A rule as its form holds it. */
export interface RuleDraft {
  stage: string;
  model: string;
  after: string[];
  evaluations: EvaluationDraft[];
  papers: string[];
  approvals: string;
  role: string;
  alone: boolean;
}

export function draftOf(rule: StageRule | undefined): RuleDraft {
  const said = (n: number | null | undefined) => (n == null ? "" : String(n));
  return {
    stage: rule?.stage ?? "production",
    model: rule?.model ?? "",
    after: rule?.after ?? [],
    evaluations: (rule?.evaluations ?? []).map((e) => ({ suite: e.suite, metric: e.metric ?? "", min: said(e.min), max: said(e.max), bound: e.bound ?? "value", gate: e.gate ?? false })),
    papers: rule?.papers ?? [],
    approvals: String(rule?.approvals ?? 0),
    role: rule?.role ?? "member",
    alone: rule?.alone ?? false,
  };
}

/** The rule that is sent; throws an Error in words. */
export function ruleOf(draft: RuleDraft): StageRule {
  const number = (text: string) => (text.trim() === "" ? null : Number(text));
  const evaluations = draft.evaluations.map((e, i) => {
    const suite = e.suite.trim();
    const metric = e.metric.trim();
    const [min, max] = [number(e.min), number(e.max)];
    if (!suite) throw new Error(`Evaluation ${i + 1} needs a suite.`);
    if ([min, max].some((n) => n !== null && !Number.isFinite(n))) throw new Error(`The limits of ${suite} must be numbers.`);
    if (min !== null && max !== null && min > max) throw new Error(`Nothing is at least ${min} and at most ${max}.`);
    if (metric && min === null && max === null) throw new Error(`Say how good ${metric} of ${suite} must be.`);
    return metric ? { suite, metric, min, max, bound: e.bound, gate: e.gate } : { suite, metric, min: null, max: null, bound: "value", gate: e.gate };
  });
  return { stage: draft.stage, model: draft.model, after: draft.after, evaluations, papers: draft.papers, approvals: Number(draft.approvals) || 0, role: draft.role, alone: draft.alone };
}
