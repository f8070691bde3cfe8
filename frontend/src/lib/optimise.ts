/** Variants: what they cost, what they are called, and what can be asked for. */
import type { Variant, VariantMethod } from "../api/types.ts";
import type { Direction } from "./plot.ts";

export type Cost = "tokens_per_s" | "first_token_s" | "load_s" | "memory_bytes" | "size_bytes";

export const COSTS: { key: Cost; name: string; direction: Direction; log: boolean }[] = [
  { key: "tokens_per_s", name: "Tokens per second", direction: "maximize", log: false },
  { key: "first_token_s", name: "First token", direction: "minimize", log: false },
  { key: "load_s", name: "Load time", direction: "minimize", log: false },
  { key: "memory_bytes", name: "Memory", direction: "minimize", log: false },
  { key: "size_bytes", name: "Size", direction: "minimize", log: true },
];

/** What tells variants of a method apart: its words first, and of many options only those that say something. */
export function optionsText(options: Record<string, unknown>): string {
  const told = Object.entries(options).filter(([, v]) => v !== "" && v !== null && typeof v !== "object");
  const words = told.filter(([, v]) => typeof v === "string").map(([, v]) => String(v));
  const numbers = told.filter(([k, v]) => typeof v === "number" && ["amount", "layers", "context"].includes(k)).map(([k, v]) => `${k} ${String(v)}`);
  return (told.length > 4 ? [...words.slice(0, 1), ...numbers] : [...words, ...told.filter(([, v]) => typeof v !== "string").map(([k, v]) => `${k} ${String(v)}`)]).join(", ");
}

export const nameOf = (v: Variant) => (v.position === 0 ? "parent" : [v.method, optionsText(v.options)].filter(Boolean).join(" "));

interface Property {
  enum?: unknown[];
  default?: unknown;
}

/** What the main option of a method may be, from the schema the server tells; empty when anything may. */
export function valuesOf(method: VariantMethod): string[] {
  const { $ref, $defs } = method.options as { $ref?: string; $defs?: Record<string, { properties?: Record<string, Property> }> };
  const own = ($ref ? $defs?.[$ref.split("/").at(-1) ?? ""] : (method.options as { properties?: Record<string, Property> }))?.properties ?? {};
  const main = own[method.main];
  if (!main) return [];
  const values = main.enum ?? (main.default === undefined ? [] : [main.default]);
  return values.map(String);
}

export interface Step {
  method: string;
  options: Record<string, unknown>;
}

/** Ticked boxes (`gguf:q4_0`) as steps; whole numbers stay numbers. */
export function stepsOf(ticked: string[], methods: VariantMethod[]): Step[] {
  return ticked.map((t) => {
    const [name = "", value = ""] = t.split(":");
    const main = methods.find((m) => m.name === name)?.main;
    return { method: name, options: main && value ? { [main]: /^\d+$/.test(value) ? Number(value) : value } : {} };
  });
}

/** Steps written as JSON: a list of `{method, options}`; text says what is wrong. */
export function moreSteps(text: string): Step[] | string {
  if (!text.trim()) return [];
  try {
    const found = JSON.parse(text) as unknown;
    const list = Array.isArray(found) ? found : [found];
    if (!list.every((s) => typeof s === "object" && s !== null && typeof (s as Step).method === "string")) return 'Each step is an object with a method, such as {"method": "prune"}.';
    return list.map((s: Step) => ({ method: s.method, options: s.options ?? {} }));
  } catch (e) {
    return `Not JSON: ${e instanceof Error ? e.message : String(e)}`;
  }
}

/** How variants are chosen and measured, as typed; empty leaves it to the server. */
export interface Measuring {
  by: Cost;
  metric: string;
  margin: string;
  threads: string;
  memory: string;
  priority: string;
}

export const MEASURING: Measuring = { by: "tokens_per_s", metric: "", margin: "", threads: "1", memory: "", priority: "0" };

const given = (name: string, text: string) => (text.trim() ? { [name]: Number(text) } : {});

/** What the server is asked besides the steps: without a suite nothing is chosen, so how is not said. */
export function measuringOf(typed: Measuring, suite: string) {
  const metric = typed.metric.trim();
  const choose = { by: typed.by, ...(metric ? { metric } : {}), ...given("margin", typed.margin) };
  const trial = { ...given("threads", typed.threads), ...given("memory_mb", typed.memory), ...given("priority", typed.priority) };
  return { ...(suite.trim() ? { suite: suite.trim(), choose } : {}), trial };
}
