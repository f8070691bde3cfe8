/** Prompts as forms: variables that a template mentions, typed values, and bodies that can be sent. */
import type { Message, PromptBody, Variable } from "../api/types.ts";

export const TYPES = ["string", "number", "integer", "boolean", "list", "object", "image", "messages"] as const;

/** Names that templates bring along themselves. */
const OWN = new Set(["loop", "range", "true", "false", "none", "True", "False", "None", "not", "dict", "namespace"]);
const PRINTED = /\{\{-?\s*([A-Za-z_]\w*)/g;
const LOOPED = /\{%-?\s*for\s+([\w\s,]+?)\s+in\s+([A-Za-z_]\w*)/g;
const TESTED = /\{%-?\s*(?:el)?if\s+(?:not\s+)?([A-Za-z_]\w*)/g;
const SET = /\{%-?\s*set\s+([A-Za-z_]\w*)/g;

/** Every text of a body that may mention a variable. */
function textsOf(body: Pick<PromptBody, "kind" | "text" | "messages">): string[] {
  if (body.kind === "text") return [body.text];
  return body.messages.map((m) => (typeof m.content === "string" ? m.content : JSON.stringify(m.content ?? "")));
}

/** Names that a template asks for, in the order of their first mention; those it sets itself are not asked for. */
export function mentioned(texts: string[]): string[] {
  const made = new Set<string>();
  const found: [number, string][] = [];
  texts.forEach((text, n) => {
    for (const m of text.matchAll(LOOPED)) {
      for (const name of m[1]!.split(",")) made.add(name.trim());
      found.push([n * 1e6 + m.index, m[2]!]);
    }
    for (const m of text.matchAll(SET)) made.add(m[1]!);
    for (const pattern of [PRINTED, TESTED]) for (const m of text.matchAll(pattern)) found.push([n * 1e6 + m.index, m[1]!]);
  });
  const names = found.sort((a, b) => a[0] - b[0]).map(([, name]) => name);
  return [...new Set(names)].filter((name) => !made.has(name) && !OWN.has(name));
}

/** The placeholders of a chat template: each takes a list of messages. */
function placeholders(body: Pick<PromptBody, "kind" | "messages">): string[] {
  if (body.kind !== "chat") return [];
  return body.messages.map((m) => (m as unknown as { placeholder?: unknown }).placeholder).filter((p): p is string => typeof p === "string");
}

/** The declared variables, then those that are only mentioned. */
export function variablesOf(body: PromptBody): Variable[] {
  const known = new Set(body.variables.map((v) => v.name));
  const guess = (name: string, type: string): Variable => ({ name, type, required: true, default: null, description: "" });
  const more = [...placeholders(body).map((name) => guess(name, "messages")), ...mentioned(textsOf(body)).map((name) => guess(name, "string"))];
  return [...body.variables, ...more.filter((v) => !known.has(v.name) && known.add(v.name))];
}

/** A value of the variable's type from what was typed; undefined when nothing was. Throws an Error in words. */
export function typed(variable: Pick<Variable, "name" | "type">, text: string | undefined): unknown {
  if (text === undefined || (text === "" && variable.type !== "string")) return undefined;
  switch (variable.type) {
    case "number":
    case "integer": {
      const n = Number(text);
      if (!Number.isFinite(n) || (variable.type === "integer" && !Number.isInteger(n))) throw new Error(`${variable.name} is not ${variable.type === "integer" ? "a whole number" : "a number"}.`);
      return n;
    }
    case "boolean":
      return text === "true";
    case "list":
    case "messages":
    case "object": {
      let found: unknown;
      try {
        found = JSON.parse(text);
      } catch (error) {
        throw new Error(`${variable.name} is not JSON: ${(error as Error).message}`);
      }
      if (variable.type === "object" ? !found || typeof found !== "object" || Array.isArray(found) : !Array.isArray(found)) throw new Error(`${variable.name} must be ${variable.type === "object" ? "an object: { … }" : "a list: [ … ]"}.`);
      return found;
    }
    default:
      return text;
  }
}

export function valuesOf(variables: Variable[], texts: Record<string, string>): Record<string, unknown> {
  return Object.fromEntries(variables.map((v) => [v.name, typed(v, texts[v.name])] as const).filter(([, value]) => value !== undefined));
}

/** `{{ name }}` replaced by its value; everything else of the template language stays, since only the server renders it. */
export function filled(text: string, values: Record<string, string>): string {
  return text.replace(/\{\{-?\s*([A-Za-z_]\w*)\s*-?\}\}/g, (whole, name: string) => values[name] ?? whole);
}

/** A JSON field of the form: undefined when empty. Throws an Error in words. */
export function jsonOf(label: string, source: string, kind: "list" | "object"): unknown {
  if (!source.trim()) return undefined;
  return typed({ name: label, type: kind }, source);
}

export interface Column {
  model: string;
  /** A prompt's version, as `name@3`, whose messages this column asks instead of those on the page; empty: those. */
  prompt: string;
}

/** The columns after the first from the address, and back. */
export function columnsOf(text: string | undefined): Column[] {
  return (text ?? "")
    .split(",")
    .filter(Boolean)
    .map((each) => {
      const at = each.indexOf("|");
      return at < 0 ? { model: each, prompt: "" } : { model: each.slice(0, at), prompt: each.slice(at + 1) };
    });
}

export function columnsText(columns: Column[]): string | undefined {
  return columns.map((c) => (c.prompt ? `${c.model}|${c.prompt}` : c.model)).join(",") || undefined;
}

/** The version that a message list on the page becomes when it is kept. */
export function bodyOf(messages: Message[], tools: unknown[] | undefined, settings: Record<string, unknown>): Omit<PromptBody, "output_schema" | "text"> {
  const body: PromptBody = { kind: "chat", text: "", messages, variables: [], tools: tools ?? [], output_schema: null, settings };
  return { kind: "chat", messages, variables: variablesOf(body), tools: tools ?? [], settings: Object.fromEntries(Object.entries(settings).filter(([, v]) => v !== undefined && v !== "")) };
}
