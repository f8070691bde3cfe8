import { useEffect, useMemo, useRef, useState } from "react";
import { useParams } from "@tanstack/react-router";
import { path } from "../api/client.ts";
import type { QueueDetail, QueueItem, Values } from "../api/types.ts";
import { AgreementList } from "../components/annotate/agreement.tsx";
import { ItemContent } from "../components/annotate/content.tsx";
import { Questions } from "../components/annotate/questions.tsx";
import { PageHead } from "../components/bits.tsx";
import { Markdown } from "../components/markdown.tsx";
import { Empty, Failure, Loading, Ready } from "../components/state.tsx";
import { answersOf, beside, choicesOf, isWritten, lettersOf, missing, nextOpen, sidesOf, textOf } from "../lib/annotate.ts";
import { type Desk, type Saved, useDesk, useDraft } from "../lib/desk.ts";
import { full, plural } from "../lib/format.ts";
import { typing, useKeys } from "../lib/keys.ts";
import { A, useSearch } from "../lib/nav.tsx";
import { useGet } from "../lib/query.ts";
import { toast } from "../lib/toast.ts";

function Progress({ queue }: { queue: QueueDetail }) {
  const { done, items } = queue.progress;
  return (
    <span className="row desk-progress">
      <progress aria-label="Items done" max={items || 1} value={done} />
      <span className="nowrap">{`${full(done)} of ${full(items)}`}</span>
    </span>
  );
}

/** How long the item is kept for this person. */
function Timer({ until }: { until: string | null }) {
  const [now, setNow] = useState(Date.now());
  useEffect(() => {
    const timer = setInterval(() => setNow(Date.now()), 5_000);
    return () => clearInterval(timer);
  }, []);
  if (!until) return null;
  const left = Math.ceil((Date.parse(until) - now) / 60_000);
  return <span className={left <= 1 ? "bad-ink nowrap" : "muted nowrap"}>{left > 0 ? `yours for ${left} min` : "no longer reserved"}</span>;
}

const SAID: Record<Saved, string> = { "": "", waiting: "saving…", saved: "draft saved", failed: "the draft could not be saved" };

function Hints({ items }: { items: [string, string][] }) {
  return (
    <ul className="hints" aria-label="Keys">
      {items.map(([key, what]) => (
        <li key={key}>
          <kbd>{key}</kbd> {what}
        </li>
      ))}
    </ul>
  );
}

function hintsOf(queue: QueueDetail, item: QueueItem, hidden: boolean): [string, string][] {
  const several = queue.labels.length > 1;
  const all: [string, string, boolean][] = [
    ["1–9", "choose", queue.labels.some((l) => choicesOf(l).length > 0)],
    ["← →", "previous, next choice", queue.labels.some((l) => choicesOf(l).length > 0)],
    ["↑ ↓", "questions", several],
    ["e", "write", queue.labels.some((l) => isWritten(l.type))],
    ["a", "take the suggestion", !!item.suggestion && !hidden],
    ["h", hidden ? "show suggestions" : "hide suggestions", queue.suggestions],
    ["c", "comment", true],
    ["Enter", "submit", true],
    ["s", "skip", true],
    ["u", "undo", true],
    ["i", "guidelines", !!queue.guidelines],
    ["?", "all keys", true],
  ];
  return all.filter(([, , on]) => on).map(([key, what]) => [key, what]);
}

/** Where a correction starts: at the answer that is corrected. */
const startOf = (item: QueueItem): string => textOf(sidesOf(item.content).answers[0]?.body);

interface Work {
  queue: QueueDetail;
  item: QueueItem;
  desk: Desk;
}

/** What is in hand: the answers so far, and what each key does with them. */
function useWork({ queue, item, desk }: Work) {
  const { labels } = queue;
  const [search, patch] = useSearch();
  const [values, setValues] = useState<Values>(() => item.draft ?? {});
  const [comment, setComment] = useState(item.comment);
  const [changed, setChanged] = useState(false);
  const [at, setAt] = useState(0);
  const [tried, setTried] = useState(false);
  const { saved, settle } = useDraft(item.id, values, comment, changed);
  const hidden = search.suggestions === "0";
  const suggestion = hidden ? null : item.suggestion;
  const letters = useMemo(() => lettersOf(labels), [labels]);
  const left = missing(labels, values);
  const label = labels[at];
  const put = (name: string, value: unknown) => {
    if (desk.leaving) return;
    setChanged(true);
    setValues((old) => ({ ...old, [name]: value }));
  };
  const choose = (value: unknown) => {
    if (!label || desk.leaving) return;
    put(label.name, value);
    setAt(nextOpen(labels, { ...values, [label.name]: value }, at));
  };
  const write = (i: number) => {
    const asked = labels[i];
    if (!asked) return;
    setAt(i);
    if (asked.type === "correction" && values[asked.name] === undefined) put(asked.name, startOf(item));
    if (!choicesOf(asked).length) document.getElementById(`question-${asked.name}`)?.focus();
  };
  const go = (i: number) => {
    setAt(i);
    if (labels[i] && !choicesOf(labels[i]).length) document.getElementById(`question-${labels[i].name}`)?.focus();
  };
  const submit = async () => {
    if (desk.busy) return;
    setTried(true);
    if (left.length) {
      setAt(labels.findIndex((l) => l.name === left[0]));
      toast(`Still to answer: ${left.join(", ")}`, "error");
      return;
    }
    await desk.answer(answersOf(labels, values), comment.trim(), settle);
  };
  const skip = async () => {
    await desk.skip(settle);
  };
  const accept = () => {
    if (!suggestion || desk.leaving) return;
    setChanged(true);
    setValues((old) => ({ ...old, ...answersOf(labels, suggestion.values) }));
  };
  const toggle = () => queue.suggestions && patch({ suggestions: hidden ? undefined : "0" }, { replace: true });
  return { labels, values, comment, setComment: (text: string) => { if (!desk.leaving) { setChanged(true); setComment(text); } }, at, setAt, tried, saved, hidden, suggestion, letters, left, label, put, choose, write, go, submit, skip, accept, toggle, search, patch };
}

/** Enter on a button or a link does what that button or link does. */
const acts = (target: EventTarget | null): boolean => target instanceof Element && target.closest("button, a, summary") !== null && target.closest("[data-choice]") === null;

function useDeskKeys(work: ReturnType<typeof useWork>, desk: Desk, guide: () => void): void {
  const { labels, label, at, values, letters } = work;
  const stop = (e: KeyboardEvent) => e.preventDefault();
  const keys: Record<string, (e: KeyboardEvent) => void> = {
    Enter: (e) => {
      if (acts(e.target)) return;
      stop(e);
      void work.submit();
    },
    "mod+Enter": (e) => {
      stop(e);
      void work.submit();
    },
    Escape: (e) => {
      if (typing(e.target)) (e.target as HTMLElement).blur();
    },
    s: () => void work.skip(),
    u: () => void desk.undo(),
    h: () => work.toggle(),
    a: () => work.accept(),
    i: guide,
    c: (e) => {
      stop(e);
      document.getElementById("desk-comment")?.focus();
    },
    e: (e) => {
      stop(e);
      work.write(label && isWritten(label.type) ? at : labels.findIndex((l) => isWritten(l.type)));
    },
  };
  for (const [key, step] of [["ArrowRight", 1], ["ArrowLeft", -1]] as const)
    keys[key] = (e) => {
      if (!label || !choicesOf(label).length) return;
      stop(e);
      work.put(label.name, beside(label, values[label.name], step));
    };
  if (labels.length > 1)
    for (const [key, step] of [["ArrowDown", 1], ["ArrowUp", -1]] as const)
      keys[key] = (e) => {
        stop(e);
        work.setAt(Math.min(labels.length - 1, Math.max(0, at + step)));
      };
  for (const choice of label ? choicesOf(label) : []) if (choice.key) keys[choice.key] = () => work.choose(choice.value);
  letters.forEach((letter, i) => {
    if (letter)
      keys[letter] = (e) => {
        stop(e);
        work.go(i);
      };
  });
  useKeys(keys);
}

function Seat(props: Work) {
  const { queue, item, desk } = props;
  const work = useWork(props);
  const box = useRef<HTMLDivElement>(null);
  const guided = work.search.guidelines !== "0" && !!queue.guidelines;
  const guide = () => work.patch({ guidelines: guided ? "0" : undefined }, { replace: true });
  useDeskKeys(work, desk, guide);
  useEffect(() => {
    box.current?.scrollTo(0, 0);
  }, [item.id]);
  const preferred = queue.labels.find((l) => l.type === "preference");
  return (
    <>
      <div className="desk" aria-busy={desk.busy}>
        <div className="desk-content" ref={box} tabIndex={0} role="region" aria-label="Item">
          <ItemContent content={item.content} chosen={preferred && work.values[preferred.name]} />
        </div>
        <div className="desk-side" tabIndex={0} role="region" aria-label="Questions">
          {guided && (
            <details className="guidelines" open>
              <summary>Guidelines</summary>
              <Markdown source={queue.guidelines} />
            </details>
          )}
          {(work.suggestion || work.hidden) && (
            <div className="row suggestion-bar">
              <span className="muted small">{work.suggestion ? `What ${work.suggestion.model || "a model"} suggests is marked.` : "Suggestions are hidden."}</span>
              <button type="button" className="button small push" data-choice="" onClick={work.toggle}>
                {work.hidden ? "Show" : "Hide"} <kbd>h</kbd>
              </button>
            </div>
          )}
          <Questions labels={work.labels} letters={work.letters} at={work.at} values={work.values} suggestion={work.suggestion?.values ?? null} onAt={work.setAt} onChange={work.put} />
          <div className="field">
            <label htmlFor="desk-comment">
              Comment <kbd>c</kbd>
            </label>
            <textarea id="desk-comment" rows={2} value={work.comment} onChange={(e) => work.setComment(e.target.value)} />
          </div>
          <div className="actions">
            <button type="button" className="button primary" data-choice="" disabled={desk.busy} onClick={() => void work.submit()}>
              Submit <kbd>Enter</kbd>
            </button>
            <button type="button" className="button" disabled={desk.busy} onClick={() => void work.skip()}>
              Skip <kbd>s</kbd>
            </button>
            <span className="muted small" role="status">
              {SAID[work.saved] || (work.tried && work.left.length ? `still to answer: ${work.left.join(", ")}` : "")}
            </span>
          </div>
          <section aria-label="Agreement so far" className="desk-agreement">
            <h2>Agreement so far</h2>
            <AgreementList items={queue.agreement} />
          </section>
        </div>
      </div>
      <Hints items={hintsOf(queue, item, work.hidden)} />
    </>
  );
}

function Finished({ queue, desk }: { queue: QueueDetail; desk: Desk }) {
  const { progress } = queue;
  useKeys({ u: () => void desk.undo() });
  return (
    <Empty title="Nothing left for you here">
      <p className="muted">
        {progress.items === 0
          ? "The queue has no items yet: add some from the traces or a dataset."
          : `${plural(progress.done, "item")} of ${full(progress.items)} done${progress.reserved ? `, ${full(progress.reserved)} with other people` : ""}${progress.skipped ? `, ${full(progress.skipped)} skipped` : ""}.`}
      </p>
      <span className="actions">
        <button type="button" className="button" disabled={desk.busy} onClick={() => void desk.load()}>
          Look again
        </button>
        {desk.back > 0 && (
          <button type="button" className="button" disabled={desk.busy} onClick={() => void desk.undo()}>
            Take the last one back <kbd>u</kbd>
          </button>
        )}
        <A className="button primary" href={path`/annotation/${queue.name}`}>
          To the queue
        </A>
      </span>
    </Empty>
  );
}

const crumbs = (queue: string): [string, string][] => [
  ["Annotation", "/annotation"],
  [queue, path`/annotation/${queue}`],
];

function Station({ queue }: { queue: QueueDetail }) {
  const [search] = useSearch();
  const desk = useDesk(queue.name, search.suggestions !== "0");
  return (
    <>
      <PageHead title={`Annotate ${queue.name}`} crumbs={crumbs(queue.name)}>
        <Timer until={desk.item ? desk.reservedUntil : null} />
        <Progress queue={queue} />
        <button type="button" className="button small" disabled={!desk.back || desk.busy} onClick={() => void desk.undo()}>
          Undo <kbd>u</kbd>
        </button>
      </PageHead>
      {desk.item ? (
        <Seat key={desk.item.id} queue={queue} item={desk.item} desk={desk} />
      ) : desk.item === null ? (
        <Finished queue={queue} desk={desk} />
      ) : desk.error ? (
        <Failure error={desk.error} again={() => void desk.load()} />
      ) : (
        <Loading />
      )}
    </>
  );
}

export default function Annotate() {
  const { name = "" } = useParams({ strict: false }) as { name?: string };
  const queue = useGet<QueueDetail>(path`/queues/${name}`, undefined, { every: 15_000 });
  return (
    <div className="page fill">
      {!queue.data && <PageHead title={`Annotate ${name}`} crumbs={crumbs(name)} />}
      <Ready query={queue}>{(q) => <Station queue={q} />}</Ready>
    </div>
  );
}
