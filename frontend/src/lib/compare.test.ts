import assert from "node:assert/strict";
import { test } from "node:test";
import type { ComparedRow } from "../api/types.ts";
import { compareQuery, paceOf, runsOf, scoresOf, shownRows } from "./compare.ts";

test("any number of candidates is one question", () => {
  const search = { baseline: "a", candidate: "b", more: "c,d" };
  assert.deepEqual(runsOf(search), ["a", "b", "c", "d"]);
  assert.equal(compareQuery(search, { metric: "f1", cursor: undefined }), "baseline=a&candidate=b&more=c&more=d&metric=f1");
  assert.deepEqual(runsOf({ baseline: "a" }), ["a"]);
});

test("a run's pace comes from its last word, never behind its rows", () => {
  const run = { done: 10, total: 100, errors: 1 };
  assert.deepEqual(paceOf({ ...run, progress: { done: 40, total: 100, errors: 2, eta_s: 30, cost_usd: 0.5, cached: 7 } }), { done: 40, total: 100, errors: 2, share: 0.4, etaMs: 30_000, costUsd: 0.5, cached: 7 });
  assert.deepEqual(paceOf({ ...run, progress: {} }), { done: 10, total: 100, errors: 1, share: 0.1, etaMs: null, costUsd: null, cached: 0 });
  assert.equal(paceOf({ done: 0, total: 0, errors: 0 }).share, 0);
});

test("scores are aligned, and rows are chosen by what happened to them", () => {
  const side = (scores: Record<string, number>) => ({ run_id: "r", text: "", error: null, latency_s: null, trace_id: null, scores, pieces: [] });
  const row = (regression: number | null, status: ComparedRow["status"] = "compared"): ComparedRow => ({ sample_id: "s", ordinal: 0, split: "", status, messages: [], references: [], sides: [side({ b: 1 }), null, side({ a: 0 })], regression });
  assert.deepEqual(scoresOf(row(0)), [["a", [undefined, undefined, 0]], ["b", [1, undefined, undefined]]]);
  const rows = [row(1), row(0), row(-1), row(null, "failed")];
  assert.deepEqual(["worse", "better", "apart", ""].map((w) => shownRows(rows, w).length), [1, 1, 1, 4]);
});
