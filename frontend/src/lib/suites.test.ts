import assert from "node:assert/strict";
import { test } from "node:test";
import { answerersOf, answerersText, columnsFor, type SuiteDraft, suitesOf, usual } from "./suites.ts";

const DRAFT: SuiteDraft = { name: " triage ", dataset: "tickets@2", split: "", limit: "", input: "question", expected: "answer", variables: { ticket: "question", tone: "" }, scorers: ["exact"], more: "", maxCost: "", cache: false };
const PROMPT = { prompt: "triage", version: "2", model: "" };

test("a suite for each that answers", () => {
  const [first, second] = suitesOf({ ...DRAFT, split: "test", limit: "20", maxCost: "0.5", cache: true, more: '[{"judge": {"model": "j"}}]' }, [PROMPT, { prompt: "", version: "", model: "gpt" }]);
  assert.deepEqual(first, {
    name: "triage",
    dataset: "tickets@2",
    target: { kind: "prompt", prompt: "triage", version: 2, variables: { ticket: "question" } },
    scorers: ["exact", { judge: { model: "j" } }],
    columns: { input: "question", expected: "answer" },
    split: "test",
    limit: 20,
    max_cost_usd: 0.5,
    cache: true,
  });
  assert.deepEqual(second!.target, { kind: "gateway", model: "gpt" });
});

test("what is missing is said", () => {
  assert.throws(() => suitesOf({ ...DRAFT, scorers: [] }, [PROMPT]), /at least one scorer/);
  assert.throws(() => suitesOf({ ...DRAFT, dataset: "" }, [PROMPT]), /Choose a dataset/);
  assert.throws(() => suitesOf(DRAFT, [{ prompt: "", version: "", model: "" }]), /a prompt or a model/);
  assert.throws(() => suitesOf(DRAFT, [PROMPT, { ...PROMPT }]), /are the same/);
  assert.throws(() => suitesOf({ ...DRAFT, more: "[" }, [PROMPT]), /is not JSON/);
});

test("columns are found by the usual names", () => {
  assert.equal(usual(["id", "question", "answer"], "input"), "question");
  assert.equal(usual(["id", "question", "answer"], "expected"), "answer");
  assert.equal(usual(["a", "b"], "input"), "");
  assert.deepEqual(columnsFor(["ticket", "id"], ["id", "question"], "question"), { ticket: "question", id: "id" });
});

test("those that answer survive an address", () => {
  const list = [PROMPT, { prompt: "triage", version: "", model: "a/b" }, { prompt: "", version: "", model: "gpt@1" }];
  assert.equal(answerersText(list), "triage@2,triage|a/b,|gpt@1");
  assert.deepEqual(answerersOf(answerersText(list)), list);
  assert.deepEqual(answerersOf(undefined), []);
});
