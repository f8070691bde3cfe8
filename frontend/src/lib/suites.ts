/** Evaluations from a form: what answers, what is asked of which columns, what judges. */
import { jsonOf } from "./prompts.ts";

/** One of those that answer every row. */
export interface Answerer {
  /** A prompt's name; empty: the row's own question goes to the model as it is. */
  prompt: string;
  /** Its version; empty: the newest. */
  version: string;
  /** As programs call it; empty: the one the prompt's version names. */
  model: string;
}

/** Scorers that need no options, with what they look at. */
export const SCORERS: [string, string][] = [
  ["exact", "the same text"],
  ["contains", "the right text is in it"],
  ["f1", "shared words"],
  ["numeric", "the same number"],
  ["fields", "each key: value line"],
  ["labels", "several labels"],
  ["rouge_l", "longest common run"],
  ["bleu", "shared word runs"],
  ["chrf", "shared letter runs"],
  ["valid_structure", "lines of key: value"],
  ["refusal", "says no"],
  ["toxicity", "toxic words"],
  ["latency", "seconds"],
  ["cost", "US dollars"],
];

export interface SuiteDraft {
  name: string;
  /** `name@3`. */
  dataset: string;
  split: string;
  /** At most so many rows of each split, as typed. */
  limit: string;
  input: string;
  expected: string;
  /** Variable → column. */
  variables: Record<string, string>;
  scorers: string[];
  /** More scorers with their options, as JSON. */
  more: string;
  maxCost: string;
  cache: boolean;
}

const USUAL_INPUT = ["input", "question", "prompt", "text", "messages", "ticket", "instruction"];
const USUAL_EXPECTED = ["expected", "answer", "output", "completion", "label", "reference", "target"];

/** The column that is meant, by the usual names; empty when none has one. */
export function usual(columns: string[], what: "input" | "expected"): string {
  return (what === "input" ? USUAL_INPUT : USUAL_EXPECTED).find((name) => columns.includes(name)) ?? "";
}

/** Where each variable's value is: the column of its name, else the question. */
export function columnsFor(variables: string[], columns: string[], input: string): Record<string, string> {
  return Object.fromEntries(variables.map((name) => [name, columns.includes(name) ? name : input]));
}

function targetOf(one: Answerer, variables: Record<string, string>): Record<string, unknown> {
  if (!one.prompt) {
    if (!one.model) throw new Error("Choose a prompt or a model that answers.");
    return { kind: "gateway", model: one.model };
  }
  const mapped = Object.fromEntries(Object.entries(variables).filter(([, column]) => column));
  return { kind: "prompt", prompt: one.prompt, ...(one.version ? { version: Number(one.version) } : {}), ...(one.model ? { model: one.model } : {}), ...(Object.keys(mapped).length ? { variables: mapped } : {}) };
}

/** A suite for each that answers; throws an Error in words. */
export function suitesOf(draft: SuiteDraft, answerers: Answerer[]): Record<string, unknown>[] {
  const more = (jsonOf("More scorers", draft.more, "list") as unknown[] | undefined) ?? [];
  const scorers = [...draft.scorers, ...more];
  if (!scorers.length) throw new Error("Choose at least one scorer.");
  if (!draft.dataset) throw new Error("Choose a dataset.");
  const columns = { ...(draft.input ? { input: draft.input } : {}), ...(draft.expected ? { expected: draft.expected } : {}) };
  const keys = answerers.map((a) => JSON.stringify(a));
  if (new Set(keys).size < keys.length) throw new Error("Two of those that answer are the same.");
  return answerers.map((one) => ({
    name: draft.name.trim(),
    dataset: draft.dataset,
    target: targetOf(one, draft.variables),
    scorers,
    ...(Object.keys(columns).length ? { columns } : {}),
    ...(draft.split ? { split: draft.split } : {}),
    ...(draft.limit ? { limit: Number(draft.limit) } : {}),
    ...(draft.maxCost ? { max_cost_usd: Number(draft.maxCost) } : {}),
    ...(draft.cache ? { cache: true } : {}),
  }));
}

/** Those that answer, in an address: `prompt@2|model`, either part may be missing; and back. */
export function answerersOf(text: string | undefined): Answerer[] {
  return (text ?? "")
    .split(",")
    .filter(Boolean)
    .map((each) => {
      const bar = each.indexOf("|");
      const [who, model] = bar < 0 ? [each, ""] : [each.slice(0, bar), each.slice(bar + 1)];
      const at = who.lastIndexOf("@");
      return at < 0 ? { prompt: who, version: "", model } : { prompt: who.slice(0, at), version: who.slice(at + 1), model };
    });
}

export function answerersText(list: Answerer[]): string {
  return list.map((a) => `${a.prompt}${a.prompt && a.version ? `@${a.version}` : ""}${a.model ? `|${a.model}` : ""}`).join(",");
}
