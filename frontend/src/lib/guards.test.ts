import assert from "node:assert/strict";
import test from "node:test";
import type { GuardPolicy } from "../api/types.ts";
import { blamed, changesOf, moved, optionsOf, policyDraft, policyHref, problemsOf, rulesOf, tagOf, verdictsOf } from "./guards.ts";

const POLICY: GuardPolicy = {
  name: "mail",
  number: 3,
  description: "No personal data",
  routes: ["support-*", "chat"],
  keys: ["*"],
  order: 50,
  record: "hash",
  author: "owner",
  created_at: "2026-01-01T00:00:00Z",
  guards: [
    { kind: "pii", name: "", stage: null, action: "tokenise", on_error: "closed", options: { kinds: ["email"] } },
    { kind: "topics", name: "law", stage: "input", action: null, on_error: "open", options: {} },
  ],
};

test("a policy comes back from its form as it was", () => {
  const { name: _n, number: _v, author: _a, created_at: _c, ...rules } = POLICY;
  assert.deepEqual(rulesOf(policyDraft(POLICY)), rules);
  assert.deepEqual(rulesOf({ ...policyDraft(), routes: " a ,, b\nc " }).routes, ["a", "b", "c"]);
});

test("options that are no JSON object are named where they are", () => {
  const draft = policyDraft(POLICY);
  draft.guards[1]!.options = "{";
  assert.deepEqual([...problemsOf(draft).keys()], [draft.guards[1]!.id]);
  assert.throws(() => optionsOf("[]"), /object/);
  assert.deepEqual(optionsOf(" "), {});
});

test("a refusal is shown at the guard it speaks of", () => {
  const draft = policyDraft(POLICY);
  assert.equal(blamed(draft, "The option kinds of the guard pii must be a list of at most 1000 strings."), draft.guards[0]!.id);
  assert.equal(blamed(draft, "The guard topics can block, flag, mask, not tokenise."), draft.guards[1]!.id);
  assert.equal(blamed(draft, "The policy 'mail', guard 'law': The option roles of the guard topics must be a list."), draft.guards[1]!.id);
  assert.equal(blamed(draft, "The database did not answer."), null);
  const two = { ...draft, guards: [...draft.guards, { ...draft.guards[0]!, id: 99, name: "more" }] };
  assert.equal(blamed(two, "The option kinds of the guard pii must be a list."), draft.guards[0]!.id, "the one that has no other name");
});

test("guards move within their list and not beyond it", () => {
  assert.deepEqual(moved([1, 2, 3], 0, 1), [2, 1, 3]);
  assert.deepEqual(moved([1, 2, 3], 0, -1), [1, 2, 3]);
  assert.deepEqual(moved([1, 2, 3], 2, 1), [1, 2, 3]);
});

test("verdicts are read from a span's events, others left alone", () => {
  const event = { name: "guardrail", at_ns: 1, attributes: { guard: "pii", rule: "email", verdict: "modify", score: 0.9, policy: "mail@3", stage: "input", count: 2, content_hash: "a1,b2" } };
  assert.deepEqual(verdictsOf({ events: [{ name: "exception", at_ns: 1 }, event] }), [{ guard: "pii", rule: "email", outcome: "modify", score: 0.9, policy: "mail@3", stage: "input", count: 2, hashes: ["a1", "b2"] }]);
  assert.equal(policyHref("mail@3"), "/gateway/guardrails/mail?version=3");
  assert.deepEqual([tagOf("deny"), tagOf("deny", "mail")], ["guard:deny", "guard:deny:mail"]);
});

test("what changed between two versions", () => {
  assert.deepEqual(changesOf(undefined, POLICY), ["first version"]);
  const [pii, law] = POLICY.guards;
  const next = { ...POLICY, order: 60, guards: [{ ...law!, on_error: "closed" }, { ...pii!, options: {} }, { ...pii!, kind: "secrets" }] };
  assert.deepEqual(changesOf(POLICY, next), ["order: 50 → 60", "law on_error: open → closed", "pii options", "with secrets", "another order of guards"]);
  assert.deepEqual(changesOf(POLICY, POLICY), ["nothing but the date"]);
});
