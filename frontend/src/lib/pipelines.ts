/** What the pages of pipelines work out from runs and documents. */
import type { PipelineDocument, PipelineRun } from "../api/types.ts";
import { parseYaml, writeYaml } from "./yaml.ts";

export const underWay = (state: string | undefined) => state === "waiting" || state === "running";

export interface StepRow {
  name: string;
  kind: string;
  state: string;
  seconds: number | null;
  ended_at: string | null;
  result: Record<string, unknown>;
}

const kindOf = (step: Record<string, unknown>) => Object.keys(step).find((key) => key !== "name") ?? "";

/** Every step of a run with where it is: those that finished, the one it is at, and those to come. */
export function stepsOf(run: PipelineRun): StepRow[] {
  const done = new Map(run.steps.map((s) => [s.name, s]));
  const written = run.inputs.document?.steps.map((s) => ({ kind: kindOf(s), name: String(s.name ?? kindOf(s)) })) ?? run.steps.map((s) => ({ kind: "", name: s.name }));
  const at = written.findIndex((s) => !done.has(s.name));
  return written.map(({ name, kind }, i) => {
    const record = done.get(name);
    const state = record ? "succeeded" : i === at && run.state !== "succeeded" ? run.state : "to come";
    return { name, kind, state, seconds: record?.seconds ?? null, ended_at: record?.ended_at ?? null, result: record?.result ?? {} };
  });
}

export interface Gave {
  label: string;
  text: string;
  /** Kind of the thing that has a page; empty for a plain figure. */
  thing: string;
}

const THINGS: Record<string, Record<string, string>> = {
  dataset: { ref: "dataset_version" },
  feedback: { ref: "dataset_version" },
  train: { run: "training_run", model: "model_version" },
  evaluate: { run: "eval_run", model: "model_version" },
};
const NAMED: Record<string, string> = { ref: "dataset", run: "run", model: "model", alias: "alias", stage: "stage", rows: "rows", gate: "gate" };

/** What a finished step gave, as far as it is worth a look: things with pages first. */
export function gaveOf(row: StepRow): Gave[] {
  const things = THINGS[row.kind] ?? { model: "model_version" };
  return Object.entries(NAMED).flatMap(([key, label]) => {
    const value = row.result[key];
    if (typeof value !== "string" && typeof value !== "number") return [];
    return [{ label: row.kind === "evaluate" && key === "run" ? "evaluation" : label, text: key === "gate" ? "passed" : String(value), thing: things[key] ?? "" }];
  });
}

/** The parameters of a document as texts for a form: name, what it takes otherwise, and whether it must be given. */
export function parametersOf(document: PipelineDocument | null | undefined): { name: string; otherwise: string; needed: boolean }[] {
  return Object.entries(document?.parameters ?? {}).map(([name, value]) => ({ name, otherwise: value === null ? "" : typeof value === "string" ? value : JSON.stringify(value), needed: value === null }));
}

/** The values that a form holds: read as YAML, so that 3 is a number; empty fields are left out. */
export function valuesOf(texts: Record<string, string>): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(texts)
      .filter(([, text]) => text.trim())
      .map(([name, text]) => [name, parseYaml(`value: ${text.trim()}`).value]),
  );
}

/** A document from text, or what is wrong with it. */
export function readDocument(text: string): { document: PipelineDocument | null; wrong: string } {
  if (!text.trim()) return { document: null, wrong: "" };
  try {
    const found = parseYaml(text);
    if (typeof found.name !== "string" || !Array.isArray(found.steps)) return { document: null, wrong: "A pipeline holds a name and steps." };
    return { document: found as unknown as PipelineDocument, wrong: "" };
  } catch (e) {
    return { document: null, wrong: e instanceof Error ? e.message : String(e) };
  }
}

/** A document as text, each step on lines of its own. */
export function writeDocument(document: PipelineDocument): string {
  const { steps, ...head } = document;
  const lines = steps.map((step) => `  - ${writeYaml(step).trimEnd().replace(/\n/g, "\n    ")}`);
  return `${writeYaml(head as Record<string, unknown>).trimEnd()}\nsteps:\n${lines.join("\n")}\n`;
}

/** What ended a run against its will; that somebody cancelled it, its state says. */
export const mishapOf = (run: PipelineRun) => (run.state === "failed" ? run.error : null);
