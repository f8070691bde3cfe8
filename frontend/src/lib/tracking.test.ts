import assert from "node:assert/strict";
import { test } from "node:test";
import type { RunKeys, TrackedRun, TrackedSeries } from "../api/types.ts";
import { codeOf, commitHref, curved, fieldOf, figureOf, filterOf, linesOf, orderOf, ownTags, pointsOf, readColumns, usualColumns, writeColumns, written } from "./tracking.ts";

const keys: RunKeys = {
  params: [
    { key: "lr", runs: 3, values: 3 },
    { key: "seed", runs: 3, values: 1 },
  ],
  metrics: [
    { key: "loss", runs: 3, values: 3 },
    { key: "rare", runs: 1, values: 1 },
    { key: "system/cpu", runs: 3, values: 3 },
  ],
  tags: [],
};
const metric = (key: string, value: number | null, step = 0, text: string | null = null) => ({ key, value, text, step, at_ms: 1000 * step });
const run = (id: string, params: Record<string, string>, metrics: Record<string, number>) => ({ id, name: id, params, tags: {}, metrics: Object.fromEntries(Object.entries(metrics).map(([k, v]) => [k, metric(k, v)])) }) as unknown as TrackedRun;

test("orders and filters are written in the language of the API", () => {
  assert.equal(orderOf("-m:val/loss"), "metrics.`val/loss` DESC");
  assert.equal(orderOf("p:lr"), "params.`lr` ASC");
  assert.equal(orderOf("started"), "start_time ASC");
  assert.equal(orderOf(undefined), "");
  assert.equal(orderOf("duration"), "");
  assert.equal(fieldOf("m:a`b"), null);
  assert.equal(filterOf(" metrics.loss < 0.1 "), "metrics.loss < 0.1");
  assert.equal(filterOf("tags.team IS NOT NULL"), "tags.team IS NOT NULL");
  assert.equal(filterOf("it's"), "run_name ILIKE '%it\\'s%'");
  assert.equal(filterOf("mail", "name"), "name ILIKE '%mail%'");
  assert.equal(filterOf(""), "");
});

test("the usual columns are metrics that most runs have and parameters that differ", () => {
  assert.deepEqual(usualColumns(keys), ["m:loss", "m:rare", "p:lr"]);
  assert.deepEqual(readColumns(undefined, keys), usualColumns(keys));
  assert.deepEqual(readColumns(writeColumns(["m:a,b", "p:lr"]), keys), ["m:a,b", "p:lr"]);
  assert.deepEqual(readColumns(writeColumns([]), keys), [], "no column at all is a choice as well");
});

test("figures are told from words", () => {
  assert.deepEqual(["1e-4", "0.1", ".5", "-3", "1.2.3", "adam", "", "0x10", "Infinity"].map(figureOf), [1e-4, 0.1, 0.5, -3, "1.2.3", "adam", "", "0x10", "Infinity"]);
  assert.equal(written(metric("loss", null, 0, "NaN")), "NaN");
  assert.equal(written(metric("loss", 0.25)), "0.250");
  assert.equal(written(undefined), "–");
});

test("lines keep a parameter and a metric of one name apart", () => {
  const [line] = linesOf([run("a", { loss: "hinge", lr: "0.1" }, { loss: 0.5 })], ["first"], ["m:loss", "p:loss", "p:lr", "p:none"]);
  assert.deepEqual(line, { id: "a", label: "first", values: { loss: 0.5, "loss (given)": "hinge", lr: 0.1, none: undefined } });
});

test("points of one run carry what was measured at a step together", () => {
  const series: TrackedSeries[] = [
    { run_id: "a", run: "a", key: "loss", points: [metric("loss", 2, 1), metric("loss", null, 2, "NaN"), metric("loss", 1, 3)] },
    { run_id: "a", run: "a", key: "accuracy", points: [metric("accuracy", 0.5, 3)] },
    { run_id: "b", run: "b", key: "loss", points: [metric("loss", 9, 1)] },
  ];
  assert.deepEqual(pointsOf(series, "a"), [
    { step: 1, values: { loss: 2 }, time: 1 },
    { step: 3, values: { loss: 1, accuracy: 0.5 }, time: 3 },
  ]);
  assert.deepEqual(curved(series), ["loss"]);
});

test("the code of a run is read from the tags of its client", () => {
  const code = codeOf({ "mlflow.source.name": "train.py", "mlflow.source.git.commit": "abc", "mlflow.gitRepoURL": "git@example.org:team/mail.git", "mlflow.source.type": "LOCAL" });
  assert.deepEqual([code.program, code.commit, code.kind], ["train.py", "abc", "local"]);
  assert.equal(commitHref(code), "https://example.org/team/mail/commit/abc");
  assert.equal(commitHref({ ...code, repository: "https://example.org/team/mail/" }), "https://example.org/team/mail/commit/abc");
  assert.equal(commitHref({ ...code, repository: "/srv/git/mail" }), null);
  assert.equal(commitHref({ ...code, repository: "javascript:alert(1)" }), null);
  assert.deepEqual(ownTags({ "mlflow.user": "me", "penstock.heartbeat": "2026", "penstock.silent": "gone", team: "mail" }), [["team", "mail"]]);
});
