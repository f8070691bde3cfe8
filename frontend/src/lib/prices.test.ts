import assert from "node:assert/strict";
import test from "node:test";
import { bodyOf, draftOf, ownOf, rate } from "./prices.ts";

test("a form gives back the price it was made from, without what is not set", () => {
  const none = { cached: null, cache_write: null, cache_write_1h: null, audio_input: null, image_input: null, reasoning: null, audio_output: null, image_output: null };
  const price = { ...none, model: "m*", provider: "azure", input: 3, output: 15, cached: 0.3, image: null, request: null, batch: 0.5, tiers: [{ ...none, above: 1000, input: 6, output: null }] };
  assert.deepEqual(bodyOf(draftOf(price)), { model: "m*", provider: "azure", input: 3, output: 15, cached: 0.3, batch: 0.5, tiers: [{ above: 1000, input: 6 }] });
  assert.deepEqual(bodyOf(draftOf(undefined)), { model: "", provider: "", tiers: [] });
  assert.throws(() => bodyOf({ ...draftOf(price), tiers: "[" }), SyntaxError);
  const own = { ...price, version: "own:1", since: null, until: null };
  assert.equal(ownOf({ model: "m*", provider: "azure" }, [own])?.version, "own:1");
  assert.equal(ownOf({ model: "m*", provider: "openai" }, [own]), undefined);
});

test("rates keep the digits that price lists have", () => {
  assert.equal(rate(0), "$0");
  assert.equal(rate(3), "$3.00");
  assert.equal(rate(0.075), "$0.075");
  assert.equal(rate(0.0028), "$0.0028");
  assert.equal(rate(null), "–");
});
