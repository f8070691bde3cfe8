import assert from "node:assert/strict";
import { test } from "node:test";
import type { PromptBody } from "../api/types.ts";
import { bodyOf, columnsOf, columnsText, filled, jsonOf, mentioned, typed, valuesOf, variablesOf } from "./prompts.ts";

const body = (more: Partial<PromptBody>): PromptBody => ({ kind: "text", text: "", messages: [], variables: [], tools: [], output_schema: null, settings: {}, ...more });

test("a template's variables are found, those it makes itself are not", () => {
  assert.deepEqual(mentioned(["Hello {{ name }}, {{- name | upper }} {{user.mail}}"]), ["name", "user"]);
  assert.deepEqual(mentioned(["{% for d, x in docs %}{{ d.text }} {{ loop.index }}{% endfor %}{% if not polite %}{{ x }}{% elif mood %}{% endif %}"]), ["docs", "polite", "mood"]);
  assert.deepEqual(mentioned(["{% set total = 3 %}{{ total }}{{ true }}"]), []);
  assert.deepEqual(mentioned(["no variables { here }"]), []);
});

test("declared variables come first, mentioned ones after them, placeholders take messages", () => {
  const declared = { name: "ticket", type: "string", required: true, default: null, description: "The mail" };
  const found = variablesOf(body({ kind: "chat", messages: [{ role: "user", content: "{{ ticket }} {{ tone }}" }, { placeholder: "history" } as never], variables: [declared] }));
  assert.deepEqual(found.map((v) => `${v.name}:${v.type}`), ["ticket:string", "history:messages", "tone:string"]);
});

test("values have their type, or the mistake is said", () => {
  assert.equal(typed({ name: "n", type: "number" }, "2.5"), 2.5);
  assert.equal(typed({ name: "n", type: "integer" }, ""), undefined);
  assert.equal(typed({ name: "s", type: "string" }, ""), "");
  assert.equal(typed({ name: "b", type: "boolean" }, "false"), false);
  assert.deepEqual(typed({ name: "l", type: "list" }, "[1]"), [1]);
  assert.throws(() => typed({ name: "n", type: "integer" }, "2.5"), /n is not a whole number/);
  assert.throws(() => typed({ name: "o", type: "object" }, "[]"), /o must be an object/);
  assert.throws(() => typed({ name: "l", type: "messages" }, "{"), /l is not JSON/);
  assert.deepEqual(valuesOf(variablesOf(body({ text: "{{ a }}{{ b }}" })), { a: "1" }), { a: "1" });
  assert.equal(jsonOf("schema", "  ", "object"), undefined);
});

test("only plain variables are filled in on the page", () => {
  assert.equal(filled("Hi {{ name }}, {{ name | upper }} {{other}} {{- name -}}", { name: "Ann" }), "Hi Ann, {{ name | upper }} {{other}} Ann");
  assert.equal(filled("{{ a }}", { a: "$& $1" }), "$& $1");
});

test("columns go into the address and come back", () => {
  const columns = [{ model: "gpt", prompt: "" }, { model: "openai/gpt-5", prompt: "triage@3" }];
  assert.equal(columnsText(columns), "gpt,openai/gpt-5|triage@3");
  assert.deepEqual(columnsOf(columnsText(columns)), columns);
  assert.deepEqual(columnsOf(undefined), []);
  assert.equal(columnsText([]), undefined);
});

test("what is kept as a version has its variables and only the settings that are set", () => {
  const kept = bodyOf([{ role: "user", content: "{{ q }}" }], undefined, { model: "m", temperature: 0, top_p: undefined, stop: "" });
  assert.deepEqual(kept.settings, { model: "m", temperature: 0 });
  assert.deepEqual(kept.variables.map((v) => v.name), ["q"]);
});
