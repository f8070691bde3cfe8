/** One line for the query language of traces: completion, history, and errors shown where they are. */
import { useContext, useEffect, useId, useRef, useState } from "react";
import { useQuery } from "@tanstack/react-query";
import { api, ApiError } from "../api/client.ts";
import type { Facet, Page } from "../api/types.ts";
import { count } from "../lib/format.ts";
import { ProjectContext } from "../lib/nav.tsx";
import { chips, quoted, type Typing, typingAt, without } from "../lib/traceql.ts";

/** Fields of the language and what they hold; the server knows the keys of metadata and attributes besides. */
export const FIELDS: [string, string][] = [
  ["text", "words in name, error, input or output"],
  ["model", "model that answered or was asked for"],
  ["status", "ok or error"],
  ["kind", "llm, tool, agent, …"],
  ["latency", "duration, as in latency>2s"],
  ["cost", "US dollars, as in cost>=0.01"],
  ["user", "user"],
  ["session", "session"],
  ["route", "route of the gateway"],
  ["provider", "provider of a call"],
  ["tag", "tag"],
  ["metadata", "by key, as in metadata.customer:acme"],
  ["input", "words in what was asked"],
  ["output", "words in what was answered"],
  ["error", "words in an error; error:* is any"],
  ["name", "name of a span"],
  ["prompt", "prompt, or name@version"],
  ["key", "id of the API key"],
  ["agent", "name of an agent"],
  ["service", "service that sent a span"],
  ["tool", "name of a tool that was called"],
  ["environment", "environment"],
  ["guard", "verdict of a guardrail, as in guard:deny"],
  ["cache", "what the gateway's cache did"],
  ["feedback", "up, down, a judgement's name, or *"],
  ["rating", "rating somebody gave, as in rating>=4"],
  ["score", "by name, as in score.faithfulness<0.5"],
  ["tokens", "input and output tokens together"],
  ["input_tokens", "as in input_tokens:1k..2k"],
  ["output_tokens", "output tokens"],
  ["cached", "input tokens from the provider's cache"],
  ["ttft", "time to first token, as in ttft>800ms"],
  ["spans", "how many spans"],
  ["calls", "how many model calls"],
  ["errors", "how many spans failed"],
  ["requested_model", "model that was asked for"],
  ["attributes", "by key, as in attributes.http.status_code:500"],
  ["id", "trace id, or its beginning and *"],
  ["since", "started then or later, as in since:24h"],
  ["until", "started before"],
  ["at", "that day, hour or range, as in at:2026-01-31"],
];
const NUMBERS = new Set(["latency", "cost", "tokens", "input_tokens", "output_tokens", "cached", "ttft", "spans", "calls", "errors", "rating"]);
/** Written with a key behind a dot. */
const KEYED = new Set(["metadata", "score", "attributes"]);
/** Nobody lists their values. */
const FREE = new Set([...NUMBERS, "text", "input", "output", "error", "id", "since", "until", "at"]);
const KEPT = "penstock.queries";
const MOST = 12;

function history(): string[] {
  try {
    const kept: unknown = JSON.parse(localStorage.getItem(KEPT) ?? "[]");
    return Array.isArray(kept) ? kept.filter((q): q is string => typeof q === "string") : [];
  } catch {
    return []; // Unreadable or forbidden storage is an empty history.
  }
}

function remember(query: string): void {
  if (!query) return;
  try {
    localStorage.setItem(KEPT, JSON.stringify([query, ...history().filter((q) => q !== query)].slice(0, MOST)));
  } catch {
    return; // A full or forbidden storage costs only the history.
  }
}

interface Offer {
  label: string;
  hint: string;
  /** The whole text after choosing it, and where the caret goes. */
  text: string;
  caret: number;
  whole?: boolean;
}

function useFacets(typing: Typing, open: boolean) {
  const project = useContext(ProjectContext);
  const key = typing.kind === "value" ? typing.field : undefined;
  return useQuery<Page<Facet>, ApiError>({
    queryKey: [project, "/traces/facets", key ?? "", typing.prefix],
    queryFn: ({ signal }) => api.get("/traces/facets", { key, prefix: typing.prefix.replace(/\*+$/, "") || undefined }, signal),
    enabled: open && !(key && FREE.has(key)),
    staleTime: 20_000,
    placeholderData: (old, query) => (query?.queryKey[2] === (key ?? "") ? old : undefined),
    retry: false,
  });
}

function offersFor(text: string, typing: Typing, facets: Facet[]): Offer[] {
  const put = (piece: string, after: string): Pick<Offer, "text" | "caret"> => {
    const before = text.slice(0, typing.start) + piece + after;
    const rest = text.slice(typing.end);
    return { text: before + (after === " " ? rest.trimStart() : rest), caret: before.length };
  };
  const low = typing.prefix.toLowerCase();
  if (typing.kind === "value")
    return facets
      .filter((f) => f.value.toLowerCase().includes(low.replace(/\*/g, "")))
      .slice(0, 12)
      .map((f) => ({ label: f.value || "(empty)", hint: f.traces == null ? "" : count(f.traces), ...put(quoted(f.value), " ") }));
  const own = FIELDS.filter(([name]) => name.startsWith(low)).map(([name, hint]) => ({ label: name, hint, ...put(name, KEYED.has(name) ? "." : NUMBERS.has(name) ? ">" : ":") }));
  const known = facets
    .filter((f) => f.value.toLowerCase().includes(low) && !FIELDS.some(([name]) => name === f.value))
    .map((f) => ({ label: f.value, hint: f.traces ? count(f.traces) : "key", ...put(f.value, ":") }));
  return [...own, ...known].slice(0, 14);
}

/** Where in the query the server says it went wrong; null when it does not. */
export function columnOf(error: ApiError | null): number | null {
  if (!error) return null;
  const at = error.details.column ?? error.details.position ?? error.details.offset;
  if (typeof at === "number") return Math.max(0, error.details.column === undefined ? at : at - 1);
  const said = /(?:column|position|character) (\d+)/i.exec(`${error.message} ${error.hint}`);
  return said ? Math.max(0, Number(said[1]) - 1) : null;
}

function Mistake({ error, text }: { error: ApiError; text: string }) {
  const at = columnOf(error);
  return (
    <div className="query-error" role="alert">
      {at !== null && (
        <pre aria-hidden="true">
          {text.slice(0, at)}
          <mark>{text[at] ?? " "}</mark>
          {text.slice(at + 1)}
          {`\n${" ".repeat(Math.min(at, text.length))}^`}
        </pre>
      )}
      <span>
        {error.message} {error.hint}
      </span>
    </div>
  );
}

interface Props {
  value: string;
  onChange: (query: string) => void;
  error: ApiError | null;
  box: React.RefObject<HTMLInputElement | null>;
}

export function QueryBar({ value, onChange, error, box }: Props) {
  const [text, setText] = useState(value);
  const [caret, setCaret] = useState(value.length);
  const [open, setOpen] = useState(false);
  const [at, setAt] = useState(-1);
  const [past, setPast] = useState<string[]>([]);
  const list = useId();
  const shown = useRef(value);
  useEffect(() => {
    if (value === shown.current) return;
    shown.current = value;
    setText(value);
  }, [value]);
  const run = (next: string) => {
    const query = next.trim();
    shown.current = query;
    setText(query);
    setOpen(false);
    setAt(-1);
    remember(query);
    onChange(query);
  };
  const typing = typingAt(text, caret);
  const facets = useFacets(typing, open);
  const earlier: Offer[] = text.trim() ? [] : past.map((q) => ({ label: q, hint: "earlier", text: q, caret: q.length, whole: true }));
  const offers = open ? [...earlier, ...offersFor(text, typing, facets.data?.items ?? [])] : [];
  const put = (offer: Offer) => {
    if (offer.whole) return run(offer.text);
    setText(offer.text);
    setCaret(offer.caret);
    setAt(-1);
    // The caret can only be set once the field holds the text.
    requestAnimationFrame(() => box.current?.setSelectionRange(offer.caret, offer.caret));
  };
  const keys = (e: React.KeyboardEvent<HTMLInputElement>) => {
    if (e.key === "ArrowDown" || e.key === "ArrowUp") {
      if (!open) setOpen(true);
      else if (offers.length) setAt((n) => (e.key === "ArrowDown" ? (n + 1) % offers.length : (n <= 0 ? offers.length : n) - 1));
    } else if (e.key === "Tab" && !e.shiftKey && open && at >= 0) put(offers[at]!);
    else if (e.key === "Enter") {
      if (open && at >= 0 && offers[at]) put(offers[at]);
      else run(text);
    } else if (e.key === "Escape" && open) {
      e.stopPropagation();
      setOpen(false);
      setAt(-1);
    } else return;
    e.preventDefault();
  };
  const taken = chips(value);
  return (
    <div className="querybar grow" role="search" aria-label="Filter traces">
      <div className={error ? "query-field wrong" : "query-field"}>
        <input
          ref={box}
          className="mono"
          role="combobox"
          aria-expanded={open && offers.length > 0}
          aria-controls={list}
          aria-autocomplete="list"
          aria-activedescendant={at >= 0 && offers[at] ? `${list}-${at}` : undefined}
          aria-label="Query"
          aria-invalid={!!error}
          spellCheck={false}
          autoComplete="off"
          autoCapitalize="off"
          placeholder='Search ( / )  model:gpt-* latency>2s text:"refund"'
          value={text}
          onFocus={() => setPast(history())}
          onClick={(e) => {
            setCaret(e.currentTarget.selectionStart ?? 0);
            setOpen(true);
          }}
          onBlur={() => {
            setOpen(false);
            setAt(-1);
          }}
          onSelect={(e) => setCaret(e.currentTarget.selectionStart ?? 0)}
          onChange={(e) => {
            setText(e.target.value);
            setCaret(e.target.selectionStart ?? e.target.value.length);
            setAt(-1);
            setOpen(true);
          }}
          onKeyDown={keys}
        />
        {text && (
          <button type="button" className="icon-button" aria-label="Clear the query" onClick={() => run("")}>
            <svg viewBox="0 0 16 16" aria-hidden="true">
              <path d="M4 4l8 8M12 4l-8 8" />
            </svg>
          </button>
        )}
        {text.trim() !== value && (
          <button type="button" className="button small" onClick={() => run(text)}>
            Search <kbd>Enter</kbd>
          </button>
        )}
      </div>
      {offers.length > 0 && (
        <ul className="offers" id={list} role="listbox" aria-label="Suggestions">
          {offers.map((offer, i) => (
            <li
              key={`${offer.hint} ${offer.label}`}
              id={`${list}-${i}`}
              role="option"
              aria-selected={i === at}
              onMouseDown={(e) => {
                // The field keeps the focus.
                e.preventDefault();
                put(offer);
              }}
            >
              <span className="mono ellipsis">{offer.label}</span>
              <span className="muted">{offer.hint}</span>
            </li>
          ))}
        </ul>
      )}
      {error && <Mistake error={error} text={value} />}
      {taken.length > 0 && (
        <div className="chips">
          {taken.map((t) => (
            <button key={t.start} type="button" className={t.not ? "chip not" : "chip"} aria-label={`Remove ${value.slice(t.start, t.end)}`} onClick={() => run(without(value, t))}>
              {t.kind === "field" ? (
                <>
                  {t.not && "not "}
                  {t.field} {t.op === ":" ? "" : t.op} <b>{t.value}</b>
                </>
              ) : (
                <>
                  {t.not && "not "}“<b>{t.value}</b>”
                </>
              )}{" "}
              <span aria-hidden="true">×</span>
            </button>
          ))}
        </div>
      )}
    </div>
  );
}
