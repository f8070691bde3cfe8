import assert from "node:assert/strict";
import { test } from "node:test";
import type { Policies } from "../api/types.ts";
import { BLANK_SAMPLING, keepingOf, kept, pairsOf, policiesOf } from "./keeping.ts";

const WHOLE: Policies = {
  retention: { days: 90, traces: null },
  sampling: [
    { name: "health checks", rate: 0, where: { route: "health" }, keep: null },
    { name: "busy", rate: 0.1, where: { environment: "production", service: "my shop" }, keep: { errors: true, judged: false, slower_than_ms: 5000, costlier_than_usd: null, scores_below: { thumb: 0.5 } } },
  ],
  masking: { detectors: { pii: { kinds: ["email", "card"] }, secrets: {}, shouting: { words: ["no"] } }, patterns: [{ name: "ticket", pattern: "T-[0-9]{4,}", replacement: null }], keys: [{ key: "*password*", action: "drop" }] },
};

test("policies survive their form, also what it does not know", () => {
  assert.deepEqual(policiesOf(keepingOf(WHOLE), WHOLE), WHOLE);
});

test("a detector is taken away and put back", () => {
  const off = policiesOf({ ...keepingOf(WHOLE), pii: null, secrets: false }, WHOLE);
  assert.deepEqual(off.masking.detectors, { shouting: { words: ["no"] } });
  assert.deepEqual(policiesOf({ ...keepingOf(off), pii: "" }, off).masking.detectors.pii, {});
});

test("what makes no sense is said", () => {
  const rule = (change: object) => () => policiesOf({ ...keepingOf(WHOLE), sampling: [{ ...BLANK_SAMPLING, name: "x", ...change }] }, WHOLE);
  assert.throws(rule({ name: "" }), /Rule 1 needs a name/);
  assert.throws(rule({ percent: "101" }), /between 0 and 100/);
  assert.throws(rule({ where: "route health" }), /“route health” in “where” of x/);
  assert.throws(rule({ where: "colour=red" }), /cannot look at colour/);
  assert.throws(rule({ below: "thumb=low" }), /thumb of x must be a number/);
  assert.throws(() => policiesOf({ ...keepingOf(WHOLE), days: "1.5" }, WHOLE), /The days must be a whole number/);
  assert.throws(() => policiesOf({ ...keepingOf(WHOLE), keys: [{ key: " ", action: "drop" }] }, WHOLE), /Key 1/);
});

test("pairs may be quoted", () => {
  assert.deepEqual(pairsOf('service="my shop" route=a', "x"), { service: "my shop", route: "a" });
  assert.equal(kept(0, "days"), "all");
  assert.equal(kept(2000, "traces"), "2,000 traces");
});
