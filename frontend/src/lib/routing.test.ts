import assert from "node:assert/strict";
import test from "node:test";
import type { GatewayRoute } from "../api/types.ts";
import { csv } from "./csv.ts";
import { draftOf, leavesOf, moved, planOf } from "./routing.ts";

const target = (provider: string, model: string, weight = 1) => ({ provider, model, weight, route: "" });
const route = (name: string, change: Partial<GatewayRoute>): GatewayRoute => ({ ...planOf(draftOf(undefined)), targets: [], name, ...change });

test("a route is opened up to the models it ends at", () => {
  const inner = route("inner", { targets: [target("a", "x", 3), target("b", "y", 1)] });
  const outer = route("outer", { targets: [{ ...target("", ""), route: "inner" }, target("c", "z")] });
  const all = new Map([inner, outer].map((r) => [r.name, r]));
  assert.deepEqual(leavesOf(outer, all), [
    { provider: "a", model: "x", share: 0.375, via: ["inner"] },
    { provider: "b", model: "y", share: 0.125, via: ["inner"] },
    { provider: "c", model: "z", share: 0.5, via: [] },
  ]);
  const split = route("split", { arms: [{ name: "old", weight: 9, targets: [target("a", "x")] }, { name: "new", weight: 1, targets: [target("b", "y")] }] });
  assert.deepEqual(leavesOf(split, all).map((l) => [l.via[0], l.share]), [["arm old", 0.9], ["arm new", 0.1]]);
  const order = route("order", { strategy: "fallback", targets: [target("a", "x"), target("b", "y")] });
  assert.deepEqual(leavesOf(order, all).map((l) => l.share), [null, null]);
});

test("a circle or a missing route ends in a leaf without provider", () => {
  const loop = route("loop", { targets: [{ ...target("", ""), route: "loop" }] });
  const found = leavesOf(loop, new Map([["loop", loop]]));
  assert.equal(found.length, 1);
  assert.equal(found[0]?.provider, "");
  assert.equal(leavesOf(route("r", { targets: [{ ...target("", ""), route: "gone" }] }), new Map())[0]?.model, "gone");
});

test("a form gives back the route it was made from", () => {
  const whole = route("whole", {
    strategy: "sticky", sticky_by: "session", targets: [target("a", "x", 2), { ...target("", ""), route: "inner" }], retries: 0, timeout: 12.5, queue: 4, max_concurrent: 2,
    breaker: { failures: 0, error_rate: 0.1, min_calls: 5, window: 60, seconds: 3, probes: 2 }, shadow: { provider: "b", model: "y", share: 0.05, max_in_flight: 10, usd_per_day: 2, bill_key: true },
  });
  const { name, ...plan } = whole;
  assert.equal(draftOf(whole).name, name);
  assert.deepEqual(planOf(draftOf(whole)), plan);
  assert.deepEqual(planOf({ ...draftOf(whole), numbers: {}, breaker: {}, copies: false }).timeout, null);
});

test("entries move within their list only", () => {
  assert.deepEqual(moved([1, 2, 3], 1, -1), [2, 1, 3]);
  assert.deepEqual(moved([1, 2, 3], 2, 1), [1, 2, 3]);
});

test("cells with commas, quotes and formulas survive a spreadsheet", () => {
  assert.equal(csv([["a,b", 'say "hi"', 1.5, null]]), '"a,b","say ""hi""",1.5,\r\n');
  assert.equal(csv([["=1+1", -2]]), "'=1+1,-2\r\n");
});
