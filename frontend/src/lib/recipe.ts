/** Editing a recipe's text without losing its comments, and the space of a search. */
import type { Objective, SpaceParam } from "../api/types.ts";
import { parseYaml } from "./yaml.ts";

const line = (key: string) => new RegExp(`^${key}:.*$`, "m");

/** A top-level value as it stands in the text; empty when it is not there or cannot be read. */
export function valueIn(text: string, key: string): string {
  const found = line(key).exec(text)?.[0];
  if (!found) return "";
  try {
    const value = parseYaml(found)[key];
    return value === null || value === undefined || typeof value === "object" ? "" : String(value);
  } catch {
    return "";
  }
}

/** The text with a top-level key set to a word; an empty one is taken out. */
export function withValue(text: string, key: string, value: string): string {
  const plain = /^[A-Za-z_/.][\w./@+-]*$/.test(value) ? value : JSON.stringify(value);
  const said = `${key}: ${plain}`;
  if (line(key).test(text)) return value ? text.replace(line(key), () => said) : text.replace(new RegExp(`^${key}:.*\\n?`, "m"), "");
  if (!value) return text;
  // After the comment a ready recipe begins with.
  const head = /^(?:#.*\n)*/.exec(text)?.[0].length ?? 0;
  return `${text.slice(0, head)}${said}\n${text.slice(head)}`;
}

export interface SpaceRow {
  name: string;
  type: SpaceParam["type"];
  low: string;
  high: string;
  log: boolean;
  choices: string;
}

const word = (text: string): string | number | boolean => (text === "true" ? true : text === "false" ? false : text !== "" && Number.isFinite(Number(text)) ? Number(text) : text);

/** The space as the server takes it, or what is wrong with it. */
export function spaceOf(rows: SpaceRow[]): Record<string, SpaceParam> | string {
  const out: Record<string, SpaceParam> = {};
  for (const row of rows) {
    const name = row.name.trim();
    if (!name) return "A parameter needs a name, such as learning_rate or adapter.rank.";
    if (out[name]) return `${name} is there twice.`;
    if (row.type === "choice") {
      const choices = row.choices.split(",").map((c) => c.trim()).filter(Boolean).map(word);
      if (choices.length < 2) return `${name} needs at least two choices, with commas between them.`;
      out[name] = { type: "choice", choices };
      continue;
    }
    const [low, high] = [Number(row.low), Number(row.high)];
    if (!row.low.trim() || !row.high.trim() || !Number.isFinite(low) || !Number.isFinite(high)) return `${name} needs a lowest and a highest value.`;
    if (low >= high) return `${name} goes from ${low} to ${high}: the first must be the smaller.`;
    if (row.log && low <= 0) return `${name} begins at ${low}: by ratio it must begin above zero.`;
    if (row.type === "int" && !(Number.isInteger(low) && Number.isInteger(high))) return `${name} counts in whole numbers.`;
    out[name] = { type: row.type, low, high, ...(row.log ? { log: true } : {}) };
  }
  return Object.keys(out).length ? out : "A search needs at least one parameter.";
}

export function objectivesOf(rows: Objective[]): Objective[] | string {
  const named = rows.map((r) => ({ ...r, metric: r.metric.trim() }));
  if (!named.length || named.some((r) => !r.metric)) return "Every objective needs a metric, such as eval_loss or exact_match.";
  if (new Set(named.map((r) => r.metric)).size < named.length) return "An objective is there twice.";
  return named;
}
