/** The query language of traces as the pages edit it: where its terms stand, and what is being typed. The server decides what it means. */
export interface Term {
  start: number;
  end: number;
  /** A condition on a field, words, OR/AND/NOT, or a bracket. */
  kind: "field" | "text" | "word" | "bracket";
  not: boolean;
  field: string;
  op: string;
  value: string;
}

const OPS = /^(!=|>=|<=|:|=|>|<)/;
const NAME = /^[A-Za-z_]\w*(?:\.[^\s():<>=!"]+)?/;
const JOINS = new Set(["AND", "OR", "NOT"]);

/** A value as it was meant: quotes gone, escapes undone. */
function plain(source: string): string {
  return source.replace(/"((?:\\.|[^"\\])*)("|$)/g, (_all, body: string) => body.replace(/\\(["\\])/g, "$1"));
}

function quoteEnd(text: string, at: number): number {
  for (at++; at < text.length; at++) {
    if (text[at] === "\\") at++;
    else if (text[at] === '"') return at + 1;
  }
  return text.length;
}

/** Where a value that begins at `at` ends; it may be quoted in part, as in `gpt-*"mini (old)"`. */
function pieceEnd(text: string, at: number): number {
  while (at < text.length && !/[\s()]/.test(text[at]!)) at = text[at] === '"' ? quoteEnd(text, at) : at + 1;
  return Math.min(at, text.length);
}

/** Every piece of the query, in order. */
export function terms(text: string): Term[] {
  const found: Term[] = [];
  let at = 0;
  while (at < text.length) {
    const c = text[at]!;
    if (/\s/.test(c)) {
      at++;
      continue;
    }
    const start = at;
    if (c === "(" || c === ")") {
      found.push({ start, end: ++at, kind: "bracket", not: false, field: "", op: "", value: c });
      continue;
    }
    const not = c === "-" && at + 1 < text.length && !/[\s)]/.test(text[at + 1]!);
    if (not) at++;
    const name = NAME.exec(text.slice(at))?.[0] ?? "";
    const op = name ? (OPS.exec(text.slice(at + name.length))?.[0] ?? "") : "";
    if (op) {
      const from = at + name.length + op.length;
      // `model:(a OR b)` keeps its brackets as pieces of their own.
      at = text[from] === "(" ? from : pieceEnd(text, from);
      found.push({ start, end: at, kind: "field", not, field: name, op, value: plain(text.slice(from, at)) });
      continue;
    }
    const end = Math.max(at + 1, pieceEnd(text, at));
    const source = text.slice(at, end);
    at = end;
    found.push({ start, end, kind: !not && JOINS.has(source) ? "word" : "text", not, field: "", op: "", value: plain(source) });
  }
  return found;
}

/** A value as it must be written. */
export function quoted(value: string): string {
  return value !== "" && /^[^\s"()\\*]+$/.test(value) && !JOINS.has(value) ? value : `"${value.replace(/[\\"]/g, "\\$&")}"`;
}

export function termOf(field: string, value: string | number, { not = false, op = ":" } = {}): string {
  return `${not ? "-" : ""}${field}${op}${quoted(String(value))}`;
}

/** Brackets around a query that has an OR, so that a further condition holds for all of it. */
function closed(text: string): string {
  let depth = 0;
  for (const t of terms(text)) {
    if (t.kind === "bracket") depth += t.value === "(" ? 1 : -1;
    else if (t.kind === "word" && t.value === "OR" && depth === 0) return `(${text})`;
  }
  return text;
}

/** The query and one more condition, once. */
export function withTerm(text: string, field: string, value: string | number, options: { not?: boolean; op?: string } = {}): string {
  const made = termOf(field, value, options);
  const trimmed = text.trim();
  if (!trimmed) return made;
  if (terms(trimmed).some((t) => trimmed.slice(t.start, t.end) === made)) return trimmed;
  return `${closed(trimmed)} ${made}`;
}

export function without(text: string, term: Pick<Term, "start" | "end">): string {
  return `${text.slice(0, term.start)} ${text.slice(term.end)}`.replace(/\s+/g, " ").trim();
}

/** The conditions that can be taken away one by one: none when OR, NOT or brackets tie them together. */
export function chips(text: string): Term[] {
  const all = terms(text);
  return all.some((t) => t.kind === "word" || t.kind === "bracket") ? [] : all;
}

/** The words searched for, to be marked where they are found. */
export function wordsOf(text: string): string[] {
  return terms(text)
    .filter((t) => !t.not && (t.kind === "text" || (t.kind === "field" && /^(text|input|output|name|error)$/.test(t.field) && t.op === ":")))
    .map((t) => t.value.replace(/\*/g, "").trim())
    .filter((w) => w.length > 1);
}

export interface Typing {
  kind: "field" | "value";
  field: string;
  /** What stands there already, without its quote. */
  prefix: string;
  start: number;
  end: number;
}

/** What is typed at the caret: a field's name, or the value of a field. */
export function typingAt(text: string, caret: number): Typing {
  const here = terms(text).find((t) => t.start < caret && caret <= t.end && t.kind !== "bracket");
  if (!here) return { kind: "field", field: "", prefix: "", start: caret, end: caret };
  const skip = here.not ? 1 : 0;
  if (here.kind === "field") {
    const from = here.start + skip + here.field.length + here.op.length;
    if (caret >= from) return { kind: "value", field: here.field, prefix: plain(text.slice(from, caret)), start: from, end: here.end };
  }
  return { kind: "field", field: "", prefix: text.slice(here.start + skip, caret), start: here.start + skip, end: here.end };
}

/** Names of the old search parameters, which other pages' links and bookmarks still carry. */
const OLD = ["kind", "status", "model", "provider", "route", "user", "session", "key", "environment", "prompt", "tag"];

/** The whole question of an address: its query and what older links ask for, as one text. */
export function queryOf(search: Record<string, string>): string {
  let text = search.query ?? "";
  for (const name of OLD) if (search[name]) text = withTerm(text, name, search[name]);
  if (search.min_latency_ms) text = withTerm(text, "latency", `${search.min_latency_ms}ms`, { op: ">=" });
  if (search.q) text = text ? `${closed(text)} ${search.q}` : search.q;
  return text;
}

/** The address without the parameters that became part of the query. */
export function modern(search: Record<string, string>): Record<string, string | undefined> | null {
  const old = [...OLD, "min_latency_ms", "q"].filter((name) => search[name]);
  return old.length ? { ...Object.fromEntries(old.map((name) => [name, undefined])), query: queryOf(search) } : null;
}

/** A query and its window in one text, for what takes a query alone. */
export function withWindow(query: string, window: { since?: string; until?: string }): string {
  const ends = [window.since && `since:${window.since}`, window.until && `until:${window.until}`].filter(Boolean).join(" ");
  if (!query.trim() || !ends) return query.trim() || ends;
  return `(${query.trim()}) ${ends}`;
}
