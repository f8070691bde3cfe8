import assert from "node:assert/strict";
import { test } from "node:test";
import { BLANK_EVALUATION, draftOf, ruleOf, ruleText, scanOf, shown } from "./registry.ts";

test("a rule is one sentence", () => {
  assert.equal(ruleText({ stage: "staging" }), "freely");
  assert.equal(
    ruleText({ stage: "production", after: ["staging"], evaluations: [{ suite: "held-out", metric: "exact", min: 0.9, bound: "low", gate: true }], papers: ["licence", "intended_use"], approvals: 1, role: "admin", alone: true }),
    "from staging; held-out: exact (low end) ≥ 0.900, past its gate; with licence, intended use; 1 other person (admin or above) must approve; what stood there is archived",
  );
});

test("a scan is read whatever is missing", () => {
  assert.equal(scanOf(null), null);
  assert.deepEqual(scanOf({ safe: false, at: "2026-01-01T00:00:00Z", files: { pickle: 1 }, findings: [{ path: "a.bin", format: "pickle", imports: ["os.system"], dangerous: ["os.system"] }] }), {
    safe: false,
    at: "2026-01-01T00:00:00Z",
    formats: { pickle: 1 },
    findings: [{ path: "a.bin", format: "pickle", imports: ["os.system"], dangerous: ["os.system"] }],
  });
  assert.equal(scanOf({})!.safe, false, "what is not said to be safe is not");
});

test("metrics are shown with their interval", () => {
  assert.equal(shown({ value: 0.9, low: 0.8, high: 0.95, n: 4 }), "0.900 (0.800 to 0.950)");
  assert.equal(shown(["a"]), '["a"]');
});

test("a rule survives its form, and what makes no sense is said", () => {
  const rule = { stage: "production", model: "", after: ["staging"], evaluations: [{ suite: "held-out", metric: "exact", min: 0.9, max: null, bound: "low", gate: true }], papers: ["scan"], approvals: 2, role: "admin", alone: true };
  assert.deepEqual(ruleOf(draftOf(rule)), rule);
  assert.deepEqual(ruleOf(draftOf(undefined)), { stage: "production", model: "", after: [], evaluations: [], papers: [], approvals: 0, role: "member", alone: false });
  const asked = (change: object) => () => ruleOf({ ...draftOf(rule), evaluations: [{ ...BLANK_EVALUATION, suite: "held-out", metric: "exact", ...change }] });
  assert.throws(asked({ suite: " " }), /needs a suite/);
  assert.throws(asked({}), /how good exact of held-out/);
  assert.throws(asked({ min: "0.9", max: "0.1" }), /at least 0.9 and at most 0.1/);
  assert.deepEqual(ruleOf({ ...draftOf(rule), evaluations: [{ ...BLANK_EVALUATION, suite: "held-out", min: "3" }] }).evaluations, [{ suite: "held-out", metric: "", min: null, max: null, bound: "value", gate: false }]);
});
