/** Ctrl/Cmd-K: places, things by name, and a few actions. */
import { useEffect, useId, useState } from "react";
import type { Dataset, Deployment, Experiment, Model, Page, Prompt, Queue } from "../api/types.ts";
import { useGo } from "../lib/nav.tsx";
import { useGet } from "../lib/query.ts";
import { choose } from "../lib/theme.ts";
import { Dialog } from "./bits.tsx";
import { PLACES } from "./shell.tsx";

interface Entry {
  label: string;
  hint: string;
  run: () => void;
}

/** Every letter of the question in order; earlier and closer together ranks higher. */
export function rank(question: string, text: string): number {
  const t = text.toLowerCase();
  let at = -1;
  let score = 0;
  for (const c of question.toLowerCase()) {
    if (c === " ") continue;
    const next = t.indexOf(c, at + 1);
    if (next < 0) return -1;
    score += next - at === 1 ? 0 : next - at;
    at = next;
  }
  return score;
}

function useEntries(open: boolean, onHelp: () => void): Entry[] {
  const go = useGo();
  const options = { enabled: open, staleTime: 10_000 };
  const prompts = useGet<Page<Prompt>>("/prompts", undefined, options);
  const datasets = useGet<Page<Dataset>>("/datasets", undefined, options);
  const queues = useGet<Page<Queue>>("/queues", undefined, options);
  const experiments = useGet<Page<Experiment>>("/experiments", undefined, options);
  const models = useGet<Page<Model>>("/models", undefined, options);
  const deployments = useGet<Page<Deployment>>("/deployments", undefined, options);
  const named = (kind: string, base: string, items: { name: string }[] | undefined): Entry[] =>
    (items ?? []).map((x) => ({ label: x.name, hint: kind, run: () => go(`${base}/${encodeURIComponent(x.name)}`) }));
  return [
    ...PLACES.map((p) => ({ label: p.label, hint: `g ${p.key}`, run: () => go(p.href) })),
    ...named("Prompt", "/prompts", prompts.data?.items),
    ...named("Dataset", "/datasets", datasets.data?.items),
    ...(experiments.data?.items ?? []).map((x) => ({ label: x.name, hint: "Experiment", run: () => go(`/experiments/${encodeURIComponent(x.id)}`) })),
    ...named("Queue", "/annotation", queues.data?.items),
    ...named("Model", "/models", models.data?.items),
    ...named("Deployment", "/deployments", deployments.data?.items),
    { label: "Create an API key", hint: "Action", run: () => go("/gateway/keys?new=1") },
    { label: "Failed traces", hint: "Traces", run: () => go("/traces?status=error") },
    { label: "Light theme", hint: "Theme", run: () => choose("light") },
    { label: "Dark theme", hint: "Theme", run: () => choose("dark") },
    { label: "System theme", hint: "Theme", run: () => choose("system") },
    { label: "Keyboard shortcuts", hint: "?", run: onHelp },
  ];
}

export function Palette({ open, onClose, onHelp }: { open: boolean; onClose: () => void; onHelp: () => void }) {
  const go = useGo();
  const [text, setText] = useState("");
  const [at, setAt] = useState(0);
  const list = useId();
  const entries = useEntries(open, onHelp);
  useEffect(() => {
    if (open) {
      setText("");
      setAt(0);
    }
  }, [open]);
  const q = text.trim();
  const found = q
    ? entries.map((e) => ({ e, s: rank(q, e.label) })).filter((x) => x.s >= 0).sort((a, b) => a.s - b.s).map((x) => x.e)
    : entries;
  if (/^[0-9a-f]{32}$/i.test(q)) found.unshift({ label: `Trace ${q.toLowerCase()}`, hint: "Open", run: () => go(`/traces/${q.toLowerCase()}`) });
  else if (q) found.push({ label: `Search traces for “${q}”`, hint: "Traces", run: () => go(`/traces?q=${encodeURIComponent(q)}`) });
  const here = Math.min(at, found.length - 1);
  const run = (e: Entry | undefined) => {
    onClose();
    e?.run();
  };
  return (
    <Dialog open={open} onClose={onClose} title="Jump to">
      <input
        autoFocus
        className="palette-input"
        role="combobox"
        aria-expanded="true"
        aria-controls={list}
        aria-activedescendant={found[here] ? `${list}-${here}` : undefined}
        aria-label="Search pages, prompts, datasets, models; or paste a trace id"
        placeholder="Page, name, or trace id"
        value={text}
        onChange={(e) => {
          setText(e.target.value);
          setAt(0);
        }}
        onKeyDown={(e) => {
          if (e.key === "ArrowDown") setAt(Math.min(here + 1, found.length - 1));
          else if (e.key === "ArrowUp") setAt(Math.max(here - 1, 0));
          else if (e.key === "Enter") run(found[here]);
          else return;
          e.preventDefault();
        }}
      />
      <ul className="palette-list" id={list} role="listbox" aria-label="Results">
        {found.slice(0, 40).map((e, i) => (
          <li
            key={`${e.hint}:${e.label}`}
            id={`${list}-${i}`}
            role="option"
            aria-selected={i === here}
            ref={(node) => {
              if (i === here) node?.scrollIntoView({ block: "nearest" });
            }}
            onMouseMove={() => setAt(i)}
            onClick={() => run(e)}
          >
            <span className="ellipsis">{e.label}</span>
            <span className="muted">{e.hint}</span>
          </li>
        ))}
      </ul>
    </Dialog>
  );
}
