import assert from "node:assert/strict";
import { test } from "node:test";
import type { Span } from "../api/types.ts";
import { extent, found, ticks, tree, uncounted, unfolded } from "./spans.ts";

const span = (id: string, parent: string | null, start: number, more: Partial<Span> = {}): Span => ({ span_id: id, parent_id: parent, name: id, kind: "other", model: null, provider: null, status: "ok", start_ns: start, end_ns: start + 5, input_tokens: null, output_tokens: null, cost_usd: null, ...more });
const drawn = (spans: Span[]) => tree(spans).map((r) => `${" ".repeat(r.depth)}${r.span.span_id}:${r.below}`);

test("children stand below their parents by start; a missing parent makes a root", () => {
  assert.deepEqual(drawn([span("c", "a", 3), span("a", null, 1), span("b", "a", 2), span("d", "b", 2), span("e", "gone", 9)]), ["a:3", " b:1", "  d:0", " c:0", "e:0"]);
});

test("cycles are cut and every span is drawn once", () => {
  assert.deepEqual(drawn([span("a", "b", 1), span("b", "a", 2), span("s", "s", 3)]).length, 3);
});

test("50,000 spans: flat, deep, and folded, quickly", () => {
  const flat = [span("root", null, 0), ...Array.from({ length: 50_000 }, (_, i) => span(`s${i}`, "root", i))];
  const deep = Array.from({ length: 50_000 }, (_, i) => span(`s${i}`, i ? `s${i - 1}` : null, i));
  const began = performance.now();
  assert.equal(tree(flat)[0]!.below, 50_000);
  const rows = tree(deep);
  assert.equal(rows[49_999]!.depth, 49_999);
  assert.equal(unfolded(rows, new Set(["s10"])).length, 11);
  assert.deepEqual(extent(deep), [0, 50_004]);
  // The search for a deep span keeps its path only.
  assert.equal(found(rows, "s20").hits, rows.filter((r) => r.span.span_id.includes("s20")).length);
  // A quadratic way would take minutes; this is no measurement.
  assert.ok(performance.now() - began < 20_000);
});

test("a search keeps what a find is inside of", () => {
  const rows = tree([span("a", null, 1), span("b", "a", 2), span("c", "b", 3, { model: "gpt-x" }), span("d", "a", 4)]);
  const { rows: kept, hits } = found(rows, "GPT");
  assert.equal(hits, 1);
  assert.deepEqual(kept.map((r) => r.span.span_id), ["a", "b", "c"]);
});

test("an axis has round marks", () => {
  assert.deepEqual(ticks(1000), [0, 200, 400, 600, 800, 1000]);
  assert.deepEqual(ticks(0), [0]);
  assert.ok(ticks(7.3e9).length <= 8);
});

test("why a span is not counted", () => {
  assert.equal(uncounted(span("a", null, 0, { kind: "llm", input_tokens: 5 })), "");
  assert.match(uncounted(span("a", null, 0, { kind: "llm", duplicate_of: "b" })), /counted once/);
  assert.match(uncounted(span("a", null, 0, { kind: "agent", input_tokens: 5 })), /below it/);
  assert.equal(uncounted(span("a", null, 0, { kind: "agent" })), "");
});
