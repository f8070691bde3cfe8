import assert from "node:assert/strict";
import { test } from "node:test";
import { spansOf } from "./outline.ts";

test("columns become spans", () => {
  const spans = spansOf({ trace_id: "t", start_ns: 1000, spans: 2, names: ["run", "chat"], kinds: ["agent", "llm"], statuses: ["ok", "error"], models: ["m"], span_id: ["a", "b"], parent: [-1, 0], depth: [0, 1], name: [0, 1], kind: [0, 1], status: [0, 1], model: [-1, 0], start: [0, 5], duration: [100, 7], tokens: [0, 42], cost_usd: [null, 0.5] });
  assert.deepEqual(spans.map((s) => [s.span_id, s.parent_id, s.name, s.kind, s.model, s.status, s.start_ns, s.end_ns, s.input_tokens, s.cost_usd]), [
    ["a", null, "run", "agent", null, "ok", 1000, 1100, 0, null],
    ["b", "a", "chat", "llm", "m", "error", 1005, 1012, 42, 0.5],
  ]);
});
