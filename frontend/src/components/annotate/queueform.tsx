/** The form that makes a queue: what is shown, what is asked, and who answers how often. */
import { useState } from "react";
import { api } from "../../api/client.ts";
import type { ItemsAdded, LabelType, Page, Queue, QueueKind, QueueOrder, ScoreConfig } from "../../api/types.ts";
import { type LabelDraft, labelsOf } from "../../lib/annotate.ts";
import { plural } from "../../lib/format.ts";
import { useGo } from "../../lib/nav.tsx";
import { useAct, useGet } from "../../lib/query.ts";
import { Field } from "../bits.tsx";

const TYPES: [LabelType, string][] = [
  ["categorical", "one of some options"],
  ["boolean", "yes or no"],
  ["number", "a number"],
  ["text", "a text"],
  ["correction", "a better answer"],
  ["preference", "which of two is better"],
];
const KINDS: [QueueKind, string][] = [
  ["trace", "an answer from the traces"],
  ["row", "a row of a dataset"],
  ["pair", "two answers side by side"],
];
const ORDERS: [QueueOrder, string][] = [
  ["fifo", "the oldest first"],
  ["uncertainty", "where a model is least sure"],
  ["disagreement", "where answers differ most"],
  ["diversity", "as different as possible"],
  ["drift", "what is new and unlike the first"],
];
type From = "query" | "dataset" | "run";
const HINTS: Record<From, string> = {
  query: "As in the list of traces, such as route:support status:ok. Empty: the queue starts empty, and items are added from the traces.",
  dataset: "A version, such as tickets@3. Empty: the queue starts empty.",
  run: "The answers of this evaluation, the first ones.",
};
const SOURCES: Record<From, string> = { query: "Traces that match", dataset: "Dataset", run: "Evaluation" };
const fromOf = (kind: QueueKind, run: string): From => (kind === "trace" ? "query" : kind === "row" && run ? "run" : "dataset");
const BLANK: LabelDraft = { name: "", type: "categorical", options: "", low: "", high: "", required: true };
/** Asked of an evaluation's answers: whether it will do, and what would have been right. */
const JUDGED: LabelDraft[] = [
  { ...BLANK, name: "quality", options: "good, bad" },
  { ...BLANK, name: "better_answer", type: "correction", required: false },
];

function Line({ draft, at, count, onChange, onRemove }: { draft: LabelDraft; at: number; count: number; onChange: (change: Partial<LabelDraft>) => void; onRemove: () => void }) {
  const name = `Question ${at + 1}`;
  return (
    <li className="label-row">
      <input aria-label={`${name}: name`} placeholder="tone" value={draft.name} onChange={(e) => onChange({ name: e.target.value })} />
      <select aria-label={`${name}: type`} value={draft.type} onChange={(e) => onChange({ type: e.target.value as LabelType })}>
        {TYPES.map(([type, text]) => (
          <option key={type} value={type}>
            {text}
          </option>
        ))}
      </select>
      {draft.type === "categorical" && <input className="grow" aria-label={`${name}: options`} placeholder="polite, neutral, rude" value={draft.options} onChange={(e) => onChange({ options: e.target.value })} />}
      {draft.type === "number" && (
        <span className="row">
          <input type="number" step="any" className="short" aria-label={`${name}: from`} placeholder="from" value={draft.low} onChange={(e) => onChange({ low: e.target.value })} />
          <input type="number" step="any" className="short" aria-label={`${name}: to`} placeholder="to" value={draft.high} onChange={(e) => onChange({ high: e.target.value })} />
        </span>
      )}
      <label className="row">
        <input type="checkbox" checked={draft.required} onChange={(e) => onChange({ required: e.target.checked })} /> needed
      </label>
      {count > 1 && (
        <button type="button" className="button small push" aria-label={`Remove question ${at + 1}`} onClick={onRemove}>
          Remove
        </button>
      )}
    </li>
  );
}

/** Questions that others use already, so that answers can be compared across queues. */
function Known({ onPick }: { onPick: (draft: LabelDraft) => void }) {
  const configs = useGet<Page<ScoreConfig>>("/score-configs", undefined, { staleTime: 30_000 });
  const items = configs.data?.items ?? [];
  if (!items.length) return null;
  return (
    <select
      aria-label="Add a question that is configured"
      value=""
      onChange={(e) => {
        const found = items.find((c) => c.name === e.target.value);
        if (found) onPick({ ...BLANK, name: found.name, type: found.kind, options: found.options.join(", "), low: String(found.low ?? ""), high: String(found.high ?? "") });
      }}
    >
      <option value="">Add a configured one…</option>
      {items.map((c) => (
        <option key={c.name}>{c.name}</option>
      ))}
    </select>
  );
}

interface Basics {
  name: string;
  kind: QueueKind;
  source: string;
  limit: string;
  follow: boolean;
  suggestions: boolean;
  guidelines: string;
  overlap: string;
  reserve: string;
  order: QueueOrder;
}

/** `run`: the evaluation whose answers people are to look at. */
export function QueueForm({ onClose, run = "" }: { onClose: () => void; run?: string }) {
  const go = useGo();
  const [basics, setBasics] = useState<Basics>({ name: "", kind: run ? "row" : "trace", source: run, limit: run ? "50" : "1000", follow: false, suggestions: true, guidelines: "", overlap: "1", reserve: "30", order: "fifo" });
  const [drafts, setDrafts] = useState<LabelDraft[]>(run ? JUDGED : [{ ...BLANK, name: "quality", options: "good, acceptable, bad" }]);
  const [problem, setProblem] = useState("");
  const from = fromOf(basics.kind, run);
  const set = <K extends keyof Basics>(key: K) => (e: { target: { value: string } }) => setBasics({ ...basics, [key]: e.target.value as Basics[K] });
  const make = useAct(
    (body: object) => api.post<Queue & { added: ItemsAdded }>("/queues", body),
    (made) => {
      onClose();
      go(`/annotation/${encodeURIComponent(made.name)}`);
      return `The queue ${made.name} is made, with ${plural(made.added.added, "item")}`;
    },
    { quiet: true },
  );
  const submit = () => {
    try {
      const labels = labelsOf(drafts);
      setProblem("");
      const which = basics.source.trim();
      const source = which ? { [from]: which, limit: Number(basics.limit), ...(from === "query" && basics.follow ? { follow: true } : {}) } : null;
      make.mutate({ name: basics.name.trim(), kind: basics.kind, guidelines: basics.guidelines, labels, overlap: Number(basics.overlap), reserve_minutes: Number(basics.reserve), order: basics.order, suggestions: basics.suggestions, source });
    } catch (error) {
      setProblem((error as Error).message);
    }
  };
  const kind = (value: QueueKind) => {
    // What was typed for another kind of source would find nothing.
    const other = fromOf(value, run) !== from;
    setBasics({ ...basics, kind: value, source: other ? (fromOf(value, run) === "run" ? run : "") : basics.source });
    if (value === "pair" && !drafts.some((d) => d.type === "preference")) setDrafts([{ ...BLANK, name: "better", type: "preference" }]);
  };
  return (
    <form
      onSubmit={(e) => {
        e.preventDefault();
        submit();
      }}
    >
      <div className="fields">
        <Field label="Name">{(id) => <input id={id} required autoFocus pattern="[a-z0-9][a-z0-9._\-]*" title="Lower-case letters, digits, dots, dashes and underscores" value={basics.name} onChange={set("name")} />}</Field>
        <Field label="People see">
          {(id) => (
            <select id={id} value={basics.kind} onChange={(e) => kind(e.target.value as QueueKind)}>
              {KINDS.map(([value, text]) => (
                <option key={value} value={value}>
                  {text}
                </option>
              ))}
            </select>
          )}
        </Field>
        <Field label="Order">
          {(id) => (
            <select id={id} value={basics.order} onChange={set("order")}>
              {ORDERS.map(([value, text]) => (
                <option key={value} value={value}>
                  {text}
                </option>
              ))}
            </select>
          )}
        </Field>
        <Field label="People per item" hint="Two or more show agreement">
          {(id) => <input id={id} type="number" min={1} max={50} required value={basics.overlap} onChange={set("overlap")} />}
        </Field>
        <Field label="Kept for (minutes)">{(id) => <input id={id} type="number" min={1} max={1440} required value={basics.reserve} onChange={set("reserve")} />}</Field>
      </div>
      <div className="fields source-fields">
        <Field label={SOURCES[from]} hint={HINTS[from]}>
          {(id) => <input id={id} className="mono" value={basics.source} onChange={set("source")} />}
        </Field>
        <Field label="At most">{(id) => <input id={id} type="number" min={1} max={100000} required value={basics.limit} onChange={set("limit")} />}</Field>
      </div>
      {from === "query" && (
        <label className="row check">
          <input type="checkbox" checked={basics.follow} onChange={(e) => setBasics({ ...basics, follow: e.target.checked })} /> Keep adding new traces that match
        </label>
      )}
      <label className="row check">
        <input type="checkbox" checked={basics.suggestions} onChange={(e) => setBasics({ ...basics, suggestions: e.target.checked })} /> People may see what a model suggests
      </label>
      <fieldset className="target-rows">
        <legend>Questions</legend>
        <ol>
          {drafts.map((d, i) => (
            <Line key={i} draft={d} at={i} count={drafts.length} onChange={(change) => setDrafts(drafts.map((old, n) => (n === i ? { ...old, ...change } : old)))} onRemove={() => setDrafts(drafts.filter((_, n) => n !== i))} />
          ))}
        </ol>
        <span className="row">
          <button type="button" className="button small" onClick={() => setDrafts([...drafts, BLANK])}>
            Add a question
          </button>
          <Known onPick={(d) => setDrafts([...drafts.filter((x) => x.name), d])} />
        </span>
      </fieldset>
      <Field label="Guidelines" hint="Markdown, shown beside every item">
        {(id) => <textarea id={id} rows={5} value={basics.guidelines} onChange={set("guidelines")} />}
      </Field>
      {(problem || make.error) && (
        <div className="note bad" role="alert">
          {problem || `${make.error!.message} ${make.error!.hint}`}
        </div>
      )}
      <div className="actions">
        <button type="button" className="button" onClick={onClose}>
          Cancel
        </button>
        <button type="submit" className="button primary" disabled={make.isPending}>
          Make the queue
        </button>
      </div>
    </form>
  );
}
