import assert from "node:assert/strict";
import { test } from "node:test";
import { limitOf, replicasOf, takenBy } from "./serving.ts";

const version = (number: number, part: "production" | "canary", more: object = {}) => ({ number, endpoint: "", model: `m@${number}`, engine: "llamacpp", part, share: 1, author: "o", created_at: "", replicas: [{ position: 0, state: "ready", reason: "", restarts: 1, since: "2026-01-01T00:00:00Z", ...more }] });

test("replicas are listed with where they are, production first", () => {
  const versions = [version(3, "canary"), version(2, "production", { id: "2.0", port: 4100, gpus: [0, 1], pid: 7 })];
  const found = replicasOf({ name: "a", state: "ready", production: 2, candidate: 3, weight: 0, previous: null, created_at: "", updated_at: "", history: [], versions });
  assert.deepEqual(
    found.map((r) => [r.id, r.name, r.model, r.place]),
    [
      ["2.0", "version 2, replica 0", "m@2", "port 4100, GPU 0, 1, pid 7"],
      ["3.0", "version 3, replica 0", "m@3", ""],
    ],
  );
});

test("what deployments take is added up, and limits are numbers or nothing", () => {
  const one = { name: "a", state: "ready", production: 2, candidate: null, weight: 0, previous: null, created_at: "", updated_at: "", versions: [version(2, "production", { memory_bytes: 5 }), version(3, "canary")] };
  assert.deepEqual(takenBy([one, { ...one, name: "b", versions: [] }]), [{ name: "a", replicas: 2, memory: 5 }]);
  assert.deepEqual(takenBy([{ ...one, versions: [version(3, "canary")] }]), [{ name: "a", replicas: 1, memory: null }]);
  assert.equal(limitOf(" ", "x"), null);
  assert.equal(limitOf("1.5", "x", false), 1.5);
  assert.throws(() => limitOf("1.5", "The GPUs"), /The GPUs must be a whole number/);
  assert.throws(() => limitOf("-1", "x"), /0 or above/);
});
