import assert from "node:assert/strict";
import { test } from "node:test";
import { axesOf, beside, curvesOf, figuresOf, flat, heightOn, labelsOf, smoothed, varying } from "./runs.ts";

test("a point's figures are found wherever they are kept", () => {
  assert.deepEqual(figuresOf({ step: 3, values: { loss: 2, tokens_per_second: 90, steps: 300 }, at: "2026-01-01T00:00:00Z" }), { loss: 2, tokens_per_s: 90 });
  assert.deepEqual(figuresOf({ step: 3, time: "2026-01-01T00:00:00Z", loss: 2, grad_norm: null, epoch: 1 }), { loss: 2 });
});

test("a step done again after a resume is one point", () => {
  const points = [1, 2, 3, 2, 3, 4].map((step, i) => ({ step, values: { loss: i } }));
  assert.deepEqual(curvesOf(points), [{ name: "loss", x: [1, 2, 3, 4], y: [0, 3, 4, 5] }]);
});

test("curves may go by time, and loss comes first", () => {
  const points = [0, 30].map((s, i) => ({ step: i, at: `2026-01-01T00:00:${String(s).padStart(2, "0")}Z`, values: { power_w: 5, loss: 1 } }));
  assert.deepEqual(curvesOf(points, "time").map((c) => [c.name, c.x]), [["loss", [0, 30]], ["power_w", [0, 30]]]);
});

test("smoothing starts at the first value and keeps a constant", () => {
  assert.deepEqual(smoothed([4, 4, 4], 0.9).map((v) => Number(v.toFixed(9))), [4, 4, 4]);
  assert.equal(smoothed([1, 0], 0)[1], 0);
  assert.ok(smoothed([1, 0, 0], 0.5)[2]! > 0);
});

test("recipes are told apart by what differs", () => {
  assert.deepEqual(flat({ lora: { r: 16, on: true }, losses: ["sigmoid"], note: "", epochs: 3 }), { "lora.r": 16, "lora.on": "true", losses: '["sigmoid"]', epochs: 3 });
  assert.deepEqual(beside([{ a: 1, b: 2 }, { a: 1, b: 3, c: 1 }]).map((r) => [r.name, r.differs]), [["b", true], ["c", true], ["a", false]]);
});

test("parallel coordinates scale figures and spread words", () => {
  const lines = [
    { id: "1", label: "1", values: { rate: 1e-5, method: "sft", loss: 1, seed: 0 } },
    { id: "2", label: "2", values: { rate: 1e-3, method: "dpo", loss: 3, seed: 0 } },
    { id: "3", label: "3", values: { rate: 1e-4, method: "kto", seed: 0 } },
  ];
  assert.deepEqual(varying(lines), ["rate", "method", "loss"]);
  const [rate, method, loss] = axesOf(lines, varying(lines));
  assert.ok(Math.abs(heightOn(rate!, 1e-4)! - 0.5) < 1e-9, "a rate goes by ratio");
  assert.deepEqual(["dpo", "kto", "sft"].map((m) => heightOn(method!, m)), [0, 0.5, 1]);
  assert.equal(heightOn(loss!, lines[2]!.values.loss), null);
});

test("runs of one name are told apart by their model, or by the end of their id", () => {
  const runs = [
    { id: "run_0000000000000001", name: "triage", model: "triage@1" },
    { id: "run_0000000000000002", name: "triage", model: null },
    { id: "run_0000000000000003", name: "other", model: "triage@3" },
  ];
  assert.deepEqual(labelsOf(runs), ["triage · triage@1", "triage · run_…000002", "other"]);
});
