import assert from "node:assert/strict";
import { test } from "node:test";
import { nameFrom } from "./upload.ts";

test("a file's name becomes a dataset's", () => {
  assert.equal(nameFrom("My Tickets (2).CSV.gz"), "my-tickets-2");
  assert.equal(nameFrom("tickets.jsonl"), "tickets");
  assert.equal(nameFrom("..export.v2.parquet"), "export.v2");
  assert.equal(nameFrom("Größe.csv"), "gr-e");
  assert.equal(nameFrom("---.csv"), "");
});
