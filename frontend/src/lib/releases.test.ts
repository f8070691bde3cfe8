import assert from "node:assert/strict";
import { test } from "node:test";
import { armText, decisionTone, type Draft, judgingText, live, planOf, rangeOf, subjectText, writeDifference, writeMetric } from "./releases.ts";

const plan = { name: "new", weight: 1, provider: "", model: "", route: "", version: null, params: {} };

test("a release is told in words", () => {
  assert.equal(subjectText({ type: "prompt", prompt: "triage", label: "production", route: "", deployment: "" }), "prompt triage (production)");
  assert.equal(subjectText({ type: "model", prompt: "", label: "production", route: "", deployment: "triage" }), "model of the deployment triage");
  assert.deepEqual([{ ...plan, model: "m@2" }, { ...plan, provider: "openai", model: "x" }, { ...plan, version: 3 }, { ...plan, params: { temperature: 0 } }, plan].map(armText), ["m@2", "openai/x", "version 3", '{"temperature":0}', ""]);
  assert.deepEqual(["running", "decided", "rolled_back", "promoted"].map(live), [true, true, false, false]);
  assert.deepEqual(["roll_back", "hold", "go_on", "something"].map(decisionTone), ["bad", "wait", "good", "plain"]);
  assert.equal(writeMetric("latency")(0.231), "231 ms");
  assert.equal(writeDifference("latency", true)(-0.1), "-10.0 %");
});

test("a metric's arms share one scale", () => {
  const arm = (name: string, mean: number) => ({ name, weight: 0.5, calls: 9, plan, metrics: { latency: { mean, low: mean - 1, high: mean + 1, n: 9 } } });
  const release = { arms: [arm("a", 3), arm("b", 5)] } as never;
  const [low, high] = rangeOf(release, "latency");
  assert.ok(low < 2 && high > 6);
  assert.deepEqual(rangeOf(release, "errors"), [0, 1]);
});

test("what judging spent is said, and that it stopped", () => {
  const judging = { share: 0.1, calls: 40, spent_usd: 0.25, cap_usd: 1, stopped: false };
  assert.equal(judgingText(null), null);
  const said = judgingText(judging)!;
  assert.match(said, /^10\s?% of the answers; .*0\.25.* of .*1.* spent on 40 verdicts$/);
  assert.equal(judgingText({ ...judging, stopped: true }), `${said}; stopped`);
});

const draft: Draft = {
  name: "v2",
  kind: "canary",
  what: "deployment",
  place: "triage",
  arms: [
    { name: "stable", provider: "", value: "", weight: "1" },
    { name: "candidate", provider: "", value: "m@2", weight: "1" },
  ],
  steps: "5, 25",
  metrics: [{ name: "errors", direction: "", harm: "0.02" }],
  alpha: "0.05",
  sticky: "user",
};

test("a form becomes a plan, or says what is wrong", () => {
  assert.deepEqual(planOf(draft), {
    name: "v2",
    kind: "canary",
    subject: { type: "model", deployment: "triage" },
    arms: [{ name: "stable" }, { name: "candidate", model: "m@2" }],
    steps: [{ weight: 0.05 }, { weight: 0.25 }],
    metrics: [{ name: "errors", direction: "", harm: 0.02 }],
    alpha: 0.05,
    sticky_by: "user",
  });
  const prompt = planOf({ ...draft, kind: "ab", what: "prompt", arms: draft.arms.map((a, i) => ({ ...a, value: String(i + 2) })) }) as { arms: unknown; steps?: unknown };
  assert.deepEqual(prompt.arms, [{ name: "stable", weight: 1, version: 2 }, { name: "candidate", weight: 1, version: 3 }]);
  assert.equal(prompt.steps, undefined, "an A/B test has no steps");
  assert.match(String(planOf({ ...draft, what: "model" })), /provider/);
  assert.match(String(planOf({ ...draft, what: "params" })), /not JSON/);
  assert.match(String(planOf({ ...draft, steps: "25, 5" })), /grow/);
  assert.match(String(planOf({ ...draft, arms: [draft.arms[0]!, { ...draft.arms[1]!, name: "stable" }] })), /same name/);
  assert.match(String(planOf({ ...draft, arms: [draft.arms[0]!, { ...draft.arms[1]!, value: "" }] })), /what it serves/);
  assert.match(String(planOf({ ...draft, place: "" })), /what is released/);
});
