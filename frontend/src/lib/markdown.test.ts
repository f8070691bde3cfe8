import assert from "node:assert/strict";
import test from "node:test";
import { parseInline, parseMarkdown } from "./markdown.ts";

test("a model card's blocks are told apart", () => {
  const blocks = parseMarkdown("---\nlicense: mit\n---\n# Card\n\nText **bold**\nmore\n\n- a\n- b\n\n1. x\n\n| k | v |\n|---|--:|\n| a | `1` |\n\n```yaml\na: 1\n# not a heading\n```\n> note");
  assert.deepEqual(blocks.map((b) => b.type), ["code", "heading", "paragraph", "list", "list", "table", "code", "quote"]);
  assert.deepEqual(blocks[5], { type: "table", head: ["k", "v"], rows: [["a", "`1`"]] });
  assert.deepEqual(blocks[6], { type: "code", text: "a: 1\n# not a heading" });
});

test("only safe links become links", () => {
  assert.deepEqual(parseInline("see [x](https://a.b/c) and `y`"), [
    { type: "text", text: "see " },
    { type: "link", text: "x", href: "https://a.b/c" },
    { type: "text", text: " and " },
    { type: "code", text: "y" },
  ]);
  assert.deepEqual(parseInline("[x](javascript:alert(1))")[0]!.type, "text");
});
