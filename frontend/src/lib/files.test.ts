import assert from "node:assert/strict";
import { test } from "node:test";
import { gridOfCsv, gridOfJson, shownAs, textOf } from "./files.ts";

const bytes = (text: string) => new TextEncoder().encode(text).buffer as ArrayBuffer;

test("how a file is shown depends on its name, and a page is only ever a text", () => {
  assert.deepEqual(["a/plot.PNG", "x.svg", "m.json", "rows.csv", "notes.md", "page.html", "MLmodel", "w.safetensors", "model.pkl"].map((p) => shownAs(p).as), ["image", "image", "json", "table", "text", "text", "text", "none", "none"]);
});

test("bytes that are no text are not taken for one", () => {
  assert.equal(textOf(bytes("grün"), true), "grün");
  assert.equal(textOf(new Uint8Array([1, 0, 2]).buffer, true), null);
  assert.equal(textOf(new Uint8Array([0xff, 0xfe, 0x41]).buffer, true), null);
  assert.equal(textOf(new Uint8Array([0x41, 0xc3]).buffer, false), "A", "a character that was cut off");
  assert.equal(textOf(new Uint8Array([0x41, 0xc3]).buffer, true), null);
});

test("tables are read from JSON and CSV", () => {
  assert.deepEqual(gridOfJson({ columns: ["a", "b"], data: [[1, "x"]] }), { head: ["a", "b"], rows: [["1", "x"]] });
  assert.deepEqual(gridOfJson([{ a: 1 }, { b: null }]), { head: ["a", "b"], rows: [["1", ""], ["", "null"]] });
  assert.equal(gridOfJson({ a: 1 }), null);
  assert.equal(gridOfJson([1, 2]), null);
  assert.deepEqual(gridOfCsv('a,b\r\n"x, ""y""",2\r\n3,4', ",", true), { head: ["a", "b"], rows: [['x, "y"', "2"], ["3", "4"]] });
  assert.deepEqual(gridOfCsv("a\tb\n1\t2\n3", "\t", false), { head: ["a", "b"], rows: [["1", "2"]] }, "a row that was cut is left out");
  assert.equal(gridOfCsv("alone", ",", true), null);
});
