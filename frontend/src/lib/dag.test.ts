import assert from "node:assert/strict";
import { test } from "node:test";
import { folded, idOf, layout } from "./dag.ts";

const node = (kind: string, ref: string) => ({ kind, ref, label: ref });
const edge = (from: string, to: string, role = "made") => ({ from, to, role });

test("what comes of a thing stands right of it", () => {
  const nodes = [node("model", "m"), node("data", "d"), node("run", "r"), node("model", "base")];
  const placed = layout(nodes, [edge("data:d", "run:r"), edge("model:base", "run:r"), edge("run:r", "model:m"), edge("model:base", "model:m")]);
  const column = Object.fromEntries(placed.map((p) => [p.id, p.column]));
  assert.deepEqual(column, { "data:d": 0, "model:base": 0, "run:r": 1, "model:m": 2 });
  assert.deepEqual(placed.filter((p) => p.column === 0).map((p) => p.row).sort(), [-0.5, 0.5]);
});

test("a beginning stands next to what it went into", () => {
  const nodes = [node("trace", "t"), node("data", "d1"), node("data", "d2"), node("model", "base"), node("run", "r")];
  const placed = layout(nodes, [edge("trace:t", "data:d1"), edge("data:d1", "data:d2"), edge("data:d2", "run:r"), edge("model:base", "run:r")]);
  assert.deepEqual(placed.map((p) => p.column), [0, 1, 2, 2, 3]);
});

test("lines cross little", () => {
  const nodes = ["a", "b"].flatMap((r) => [node("x", r), node("y", r)]);
  const placed = layout([nodes[0]!, nodes[2]!, nodes[3]!, nodes[1]!], [edge("x:a", "y:a"), edge("x:b", "y:b")]);
  const row = Object.fromEntries(placed.map((p) => [p.id, p.row]));
  assert.equal(row["x:a"]! < row["x:b"]!, row["y:a"]! < row["y:b"]!);
});

test("a cycle and an unknown end do not stop it", () => {
  const placed = layout([node("a", "1"), node("a", "2")], [edge("a:1", "a:2"), edge("a:2", "a:1"), edge("a:1", "gone:9")]);
  assert.deepEqual(placed.map((p) => p.column), [0, 0]);
});

test("many alike are one with a number, but not the one that is asked about", () => {
  const traces = Array.from({ length: 40 }, (_, i) => node("trace", String(i)));
  const nodes = [node("model", "m"), ...traces];
  const edges = traces.map((t) => edge("model:m", idOf(t)));
  const few = folded(nodes, edges, "model:m");
  assert.deepEqual(few.nodes.map((n) => [n.ref, n.more ?? 0]), [["m", 0], ["0", 39]]);
  assert.equal(few.edges.length, 1);
  assert.equal(folded(nodes, edges, "trace:7").nodes.length, 3);
});
