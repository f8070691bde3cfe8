/** Answering a queue's questions from the keyboard: what each key chooses, what is still missing, what is sent. */
import type { Content, LabelType, QueueLabel, QueueWork, Values } from "../api/types.ts";

export interface Choice {
  value: unknown;
  text: string;
  /** The key that chooses it while its question is the current one; empty when there are more choices than keys. */
  key: string;
}

const DIGITS = "1234567890";
/** A scale of at most so many whole numbers is chosen from; a longer one is typed. */
const MOST_STEPS = 11;

const keyed = (list: { value: unknown; text: string }[]): Choice[] => list.map((c, i) => ({ ...c, key: DIGITS[i] ?? "" }));

/** What there is to choose from; none for what is typed. */
export function choicesOf(label: QueueLabel): Choice[] {
  if (label.type === "categorical") return keyed(label.options.map((o) => ({ value: o, text: o })));
  if (label.type === "boolean") return keyed([{ value: true, text: "Yes" }, { value: false, text: "No" }]);
  if (label.type === "preference") return keyed([{ value: "a", text: "A is better" }, { value: "b", text: "B is better" }, { value: "tie", text: "As good as each other" }]);
  if (label.type !== "number") return [];
  if (!label.range) return [];
  const [low, high] = label.range;
  if (!Number.isInteger(low) || !Number.isInteger(high) || high < low || high - low + 1 > MOST_STEPS) return [];
  const steps = Array.from({ length: high - low + 1 }, (_, i) => low + i);
  // The digit that is written on a choice is the digit that chooses it; ten and minus one have none.
  return steps.map((n) => ({ value: n, text: String(n), key: n >= 0 && n <= 9 ? String(n) : "" }));
}

export const isWritten = (type: LabelType): boolean => type === "text" || type === "correction";

/** What is wrong with an answer, in words; empty when nothing is, also when there is no answer. */
export function problemOf(label: QueueLabel, value: unknown): string {
  if (value === undefined || value === null || value === "") return "";
  if (label.type !== "number") return "";
  if (typeof value !== "number" || !Number.isFinite(value)) return "A number, please.";
  const [low, high] = label.range ?? [-Infinity, Infinity];
  return value < low ? `At least ${low}.` : value > high ? `At most ${high}.` : "";
}

const given = (value: unknown): boolean => value !== undefined && value !== null && (typeof value !== "string" || value.trim() !== "");

/** The questions that must still be answered, or whose answer cannot be sent. */
export function missing(labels: QueueLabel[], values: Values): string[] {
  return labels.filter((l) => (l.required && !given(values[l.name])) || problemOf(l, values[l.name])).map((l) => l.name);
}

/** What is sent: only questions of this queue that have an answer. */
export function answersOf(labels: QueueLabel[], values: Values): Values {
  return Object.fromEntries(labels.filter((l) => given(values[l.name])).map((l) => [l.name, values[l.name]]));
}

/** The question to go to after one was answered: the next that has no answer, else the same. */
export function nextOpen(labels: QueueLabel[], values: Values, at: number): number {
  for (let step = 1; step < labels.length; step++) {
    const i = (at + step) % labels.length;
    if (!given(values[labels[i]!.name])) return i;
  }
  return at;
}

/** The choice beside the present one; the first or the last when there is none yet. */
export function beside(label: QueueLabel, value: unknown, step: 1 | -1): unknown {
  const choices = choicesOf(label);
  if (!choices.length) return value;
  const at = choices.findIndex((c) => c.value === value);
  if (at < 0) return choices[step === 1 ? 0 : choices.length - 1]!.value;
  return choices[Math.min(choices.length - 1, Math.max(0, at + step))]!.value;
}

/** Letters that mean something else on this page. */
const TAKEN = new Set(["s", "u", "e", "c", "h", "g", "a", "i"]);

/** The letter that goes to each question: its own where that is free; none for a queue with one question. */
export function lettersOf(labels: QueueLabel[]): string[] {
  if (labels.length < 2) return labels.map(() => "");
  const used = new Set(TAKEN);
  const own = labels.map((l) => {
    const key = l.key.toLowerCase();
    if (!/^[a-z]$/.test(key) || used.has(key)) return "";
    used.add(key);
    return key;
  });
  return own.map((key, i) => {
    if (key) return key;
    const free = [...labels[i]!.name.toLowerCase(), ..."qwrtyiopadfjklzxvbnm"].find((c) => /[a-z]/.test(c) && !used.has(c)) ?? "";
    used.add(free);
    return free;
  });
}

export interface Sides {
  /** What was asked: messages or anything else that can be shown. */
  asked: unknown;
  /** One answer, or the two of a pair in the order they are shown. */
  answers: { name: string; body: unknown }[];
  reference: unknown;
  /** Why there is no answer. */
  error: string;
  /** Everything else, by name; of a row the columns that are not shown above. */
  rest: [string, unknown][];
  traceId: string;
}

const KNOWN = new Set(["messages", "output", "a", "b", "reference", "error", "row", "trace_id", "span_id", "origin"]);
const filled = (v: unknown): boolean => v !== undefined && v !== null && v !== "" && !(Array.isArray(v) && v.length === 0);

/** An item's content by what it is for. */
export function sidesOf(content: Content): Sides {
  const pair = "a" in content && "b" in content;
  const row = content.row && typeof content.row === "object" ? Object.entries(content.row) : [];
  const first = Array.isArray(content.messages) && content.messages.length === 1 ? (content.messages[0] as { content?: unknown }).content : content.messages;
  const shown = new Set([first, content.messages, content.output, content.reference, content.a, content.b].filter(filled).map((v) => JSON.stringify(v)));
  return {
    asked: filled(content.messages) ? content.messages : undefined,
    answers: pair ? [{ name: "A", body: content.a }, { name: "B", body: content.b }] : filled(content.output) ? [{ name: "Answer", body: content.output }] : [],
    reference: filled(content.reference) ? content.reference : undefined,
    error: typeof content.error === "string" ? content.error : "",
    rest: [...Object.entries(content).filter(([k]) => !KNOWN.has(k)), ...row.filter(([, v]) => !shown.has(JSON.stringify(v)))].filter(([, v]) => filled(v)),
    traceId: typeof content.trace_id === "string" ? content.trace_id : "",
  };
}

/** An answer as text, to be corrected. */
export function textOf(body: unknown): string {
  if (typeof body === "string") return body;
  if (body && typeof body === "object" && "content" in body) return textOf((body as { content: unknown }).content);
  if (Array.isArray(body)) return body.map(textOf).filter(Boolean).join("\n");
  if (body && typeof body === "object" && "text" in body && typeof body.text === "string") return body.text;
  return body == null ? "" : JSON.stringify(body, null, 2);
}

/** Several people's answers to one question: each answer once, with who gave it, the most frequent first. */
export function votes(work: Pick<QueueWork, "annotator" | "values">[], name: string): { value: unknown; by: string[] }[] {
  const found = new Map<string, { value: unknown; by: string[] }>();
  for (const one of work) {
    const value = one.values?.[name];
    if (!given(value)) continue;
    const held = found.get(JSON.stringify(value)) ?? { value, by: [] };
    held.by.push(one.annotator);
    found.set(JSON.stringify(value), held);
  }
  return [...found.values()].sort((x, y) => y.by.length - x.by.length);
}

/** An answer in words. */
export function said(label: QueueLabel | undefined, value: unknown): string {
  if (!given(value)) return "–";
  const choice = label && choicesOf(label).find((c) => c.value === value);
  return choice ? choice.text : typeof value === "string" ? value : JSON.stringify(value);
}

/** The usual reading of a coefficient that is corrected for chance (Landis and Koch, 1977; Krippendorff's own limits are stricter). */
export function reading(value: number): string {
  if (value < 0) return "less than chance";
  if (value < 0.2) return "slight";
  if (value < 0.4) return "fair";
  if (value < 0.6) return "moderate";
  if (value < 0.8) return "substantial";
  return "almost perfect";
}

/** One line of the form that makes a queue. */
export interface LabelDraft {
  name: string;
  type: LabelType;
  options: string;
  low: string;
  high: string;
  required: boolean;
}

/** A queue's questions from what the form holds; throws an Error that says which line is wrong. */
export function labelsOf(drafts: LabelDraft[]): (Pick<QueueLabel, "name" | "type" | "required"> & Partial<QueueLabel>)[] {
  const names = new Set<string>();
  return drafts.map((d, i) => {
    const name = d.name.trim();
    if (!name) throw new Error(`Question ${i + 1} needs a name.`);
    if (names.has(name)) throw new Error(`Two questions are called “${name}”.`);
    names.add(name);
    const basics = { name, type: d.type, required: d.required };
    if (d.type === "categorical") {
      const options = [...new Set(d.options.split(/[,\n]/).map((o) => o.trim()).filter(Boolean))];
      if (options.length < 2) throw new Error(`“${name}” needs at least two options, separated by commas.`);
      return { ...basics, options };
    }
    const ends = [d.low, d.high].map((t) => t.trim());
    if (d.type !== "number" || ends.every((t) => t === "")) return basics;
    const [low, high] = ends.map((t) => (t === "" ? Number.NaN : Number(t))) as [number, number];
    if (!Number.isFinite(low) || !Number.isFinite(high)) throw new Error(`The range of “${name}” needs two numbers.`);
    if (low > high) throw new Error(`The range of “${name}” ends before it begins.`);
    return { ...basics, range: [low, high] as [number, number] };
  });
}
