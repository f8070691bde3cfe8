/** Keep what is on the page as a version of a prompt. */
import { useState } from "react";
import { api, path } from "../../api/client.ts";
import type { Message, Page, Prompt, PromptVersion } from "../../api/types.ts";
import { plural } from "../../lib/format.ts";
import { useGo } from "../../lib/nav.tsx";
import { bodyOf } from "../../lib/prompts.ts";
import { useAct } from "../../lib/query.ts";
import { Dialog, Field } from "../bits.tsx";

interface Props {
  open: boolean;
  onClose: () => void;
  prompts: Page<Prompt> | undefined;
  start: string;
  messages: Message[];
  tools: unknown[] | undefined;
  settings: Record<string, unknown>;
  /** What to do with the version once it is saved; without it, its page is opened. */
  then?: (made: PromptVersion) => void;
}

export function KeepVersion({ open, onClose, ...rest }: Props) {
  return (
    <Dialog open={open} onClose={onClose} title={rest.then ? "Save as a version, to run it over a dataset" : "Save as a version"}>
      <Form onClose={onClose} {...rest} />
    </Dialog>
  );
}

function Form({ onClose, prompts, start, messages, tools, settings, then }: Omit<Props, "open">) {
  const go = useGo();
  const [name, setName] = useState(start);
  const [note, setNote] = useState("");
  const body = bodyOf(messages, tools, settings);
  const known = prompts?.items.find((p) => p.name === name.trim());
  const save = useAct(
    () => api.post<PromptVersion>(path`/prompts/${name.trim()}/versions`, { ...body, note }),
    (made) => {
      onClose();
      if (then) then(made);
      else go(path`/prompts/${made.prompt}` + `?version=${made.number}`);
      return `Version ${made.number} of ${made.prompt} is saved`;
    },
    { quiet: true },
  );
  const parts = [plural(body.messages.length, "message"), body.variables.length && `variables ${body.variables.map((v) => v.name).join(", ")}`, body.tools.length && plural(body.tools.length, "tool"), Object.keys(body.settings).length && `settings ${Object.keys(body.settings).join(", ")}`];
  return (
    <form
      onSubmit={(e) => {
        e.preventDefault();
        save.mutate(undefined);
      }}
    >
      <Field label="Prompt" hint={known ? `Its ${plural(known.versions, "version")} stay; this is the next one.` : "A new name makes a new prompt."}>
        {(id) => (
          <>
            <input id={id} list={`${id}-names`} required autoFocus value={name} onChange={(e) => setName(e.target.value)} />
            <datalist id={`${id}-names`}>
              {(prompts?.items ?? []).map((p) => (
                <option key={p.name} value={p.name} />
              ))}
            </datalist>
          </>
        )}
      </Field>
      <Field label="What changed">{(id) => <input id={id} value={note} onChange={(e) => setNote(e.target.value)} />}</Field>
      <p className="muted">{parts.filter(Boolean).join(" · ")}</p>
      {save.error && (
        <div className="note bad" role="alert">
          {save.error.message} {save.error.hint}
        </div>
      )}
      <div className="actions">
        <button type="button" className="button" onClick={onClose}>
          Cancel
        </button>
        <button type="submit" className="button primary" disabled={!name.trim() || save.isPending}>
          {then ? "Save and choose the dataset" : "Save version"}
        </button>
      </div>
    </form>
  );
}
