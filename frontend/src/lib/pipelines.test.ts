import assert from "node:assert/strict";
import { test } from "node:test";
import type { PipelineRun } from "../api/types.ts";
import { gaveOf, parametersOf, readDocument, stepsOf, valuesOf, writeDocument } from "./pipelines.ts";

const TEXT = `name: nightly
parameters: { seed: 1, base: null }
steps:
  - name: data
    dataset: { name: tickets, file: /t.jsonl }
  - train:
      recipe: sft-lora
      values: { base: "\${parameters.base}", dataset: "\${data.ref}" }
  - name: judge
    evaluate:
      suite: held-out
      gate: [{ metric: exact, min: 0.8 }]
`;

function run(state: string, done: [string, Record<string, unknown>][]): PipelineRun {
  const at = "2026-01-01T00:00:00Z";
  const document = readDocument(TEXT).document!;
  return { id: "pip_1", pipeline: "nightly", number: 1, inputs: { document }, state, reason: null, error: null, created_at: at, ended_at: null, steps: done.map(([name, result]) => ({ name, result, seconds: 2, started_at: at, ended_at: at })) };
}

test("steps are finished, where the run is, or to come", () => {
  const rows = stepsOf(run("waiting", [["data", { ref: "tickets@1", rows: 60 }]]));
  assert.deepEqual(rows.map((r) => [r.name, r.kind, r.state]), [["data", "dataset", "succeeded"], ["train", "train", "waiting"], ["judge", "evaluate", "to come"]]);
  assert.deepEqual(stepsOf(run("failed", [])).map((r) => r.state), ["failed", "to come", "to come"]);
  assert.deepEqual(stepsOf({ ...run("succeeded", [["review", {}]]), inputs: {} }).map((r) => [r.name, r.state]), [["review", "succeeded"]]);
});

test("what a step gave leads to its pages", () => {
  const [data] = stepsOf(run("running", [["data", { ref: "tickets@1", rows: 60, splits: {} }]]));
  assert.deepEqual(gaveOf(data!), [{ label: "dataset", text: "tickets@1", thing: "dataset_version" }, { label: "rows", text: "60", thing: "" }]);
  const judge = { ...data!, kind: "evaluate", result: { run: "evr_1", model: "m@1", gate: "gat_1", metrics: {} } };
  assert.deepEqual(gaveOf(judge).map((g) => [g.label, g.text, g.thing]), [["evaluation", "evr_1", "eval_run"], ["model", "m@1", "model_version"], ["gate", "passed", ""]]);
});

test("parameters become a form and values", () => {
  const { document } = readDocument(TEXT);
  assert.deepEqual(parametersOf(document), [{ name: "seed", otherwise: "1", needed: false }, { name: "base", otherwise: "", needed: true }]);
  assert.deepEqual(valuesOf({ seed: "3", base: "tiny@1", other: " " }), { seed: 3, base: "tiny@1" });
  assert.deepEqual(readDocument(writeDocument(document!)).document, document);
  assert.match(writeDocument(document!), /\nsteps:\n  - name: data\n    dataset:/);
});

test("what is no pipeline says so", () => {
  assert.equal(readDocument("name: x").wrong, "A pipeline holds a name and steps.");
  assert.match(readDocument('name: "x').wrong, /Line 1/);
  assert.deepEqual(readDocument(" "), { document: null, wrong: "" });
});
