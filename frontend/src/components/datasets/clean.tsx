/** Cleaning a version by a recipe: try it on the first rows, then make the next version. */
import { useState } from "react";
import { api, path } from "../../api/client.ts";
import type { DatasetDetail, LeftOut, StepReport } from "../../api/types.ts";
import { full, plural } from "../../lib/format.ts";
import { useSearch } from "../../lib/nav.tsx";
import { useAct } from "../../lib/query.ts";
import { parseYaml } from "../../lib/yaml.ts";
import { Dialog, Field, Table } from "../bits.tsx";
import "../../loop.css";

const EXAMPLE = `steps:
  - {step: normalise}
  - {step: exact_duplicates}
  - {step: near_duplicates, threshold: 0.8}
  - {step: redact}
`;

interface Trial {
  rows_in: number;
  rows_out: number;
  complete: boolean;
  reports: StepReport[];
  left_out: LeftOut[];
  rows: Record<string, unknown>[];
}
interface Cleaned {
  version: string | null;
  job: string | null;
  trial: Trial | null;
}

function Tried({ trial }: { trial: Trial }) {
  return (
    <>
      <div className="note">
        {trial.complete ? "All" : "The first"} {plural(trial.rows_in, "row")}: {full(trial.rows_out)} stay, {full(trial.rows_in - trial.rows_out)} go. Nothing is registered yet.
      </div>
      <div className="boxed">
        <Table<StepReport>
          label="What the steps would do"
          rows={trial.reports}
          keyOf={(s, i) => `${i}${s.step}`}
          columns={[
            { head: "Step", cell: (s) => s.step.replace(/_/g, " ") },
            { head: "Rows in", cell: (s) => full(s.rows_in), num: true },
            { head: "Rows out", cell: (s) => full(s.rows_out), num: true },
            { head: "Changed", cell: (s) => full(s.changed), num: true },
          ]}
        />
      </div>
      {trial.left_out.length > 0 && (
        <div className="boxed">
          <Table<LeftOut>
            label="Rows that would go"
            rows={trial.left_out.slice(0, 8)}
            keyOf={(x, i) => `${i}${x.line}`}
            columns={[
              { head: "Line", cell: (x) => x.line, num: true, width: "70px" },
              { head: "Why", cell: (x) => `${x.reason}${x.kept_line != null ? ` (kept: line ${x.kept_line})` : ""}` },
              ...(trial.left_out.some((x) => x.excerpt) ? [{ head: "Row", cell: (x: LeftOut) => <span className="muted">{x.excerpt}</span> }] : []),
            ]}
          />
        </div>
      )}
    </>
  );
}

function Form({ version, done }: { version: DatasetDetail; done: (made: number | null) => void }) {
  const [text, setText] = useState(EXAMPLE);
  const [to, setTo] = useState("");
  const [description, setDescription] = useState("");
  const [wrong, setWrong] = useState("");
  const clean = useAct(
    (body: { dry_run: boolean; recipe: unknown }) => api.post<Cleaned>(path`/datasets/${version.dataset}/versions/${version.number}/clean`, { ...body, ...(body.dry_run ? {} : { description, ...(to.trim() ? { to: to.trim() } : {}) }) }),
    (made) => {
      if (made.trial) return undefined;
      const number = made.version?.split("@")[1];
      done(number && !to.trim() ? Number(number) : null);
      return made.version ? `${made.version} is registered` : "Queued: the version appears when it is made";
    },
    { quiet: true },
  );
  const send = (dry_run: boolean) => {
    try {
      const recipe = parseYaml(text);
      if (!Array.isArray(recipe.steps)) throw new Error("A recipe begins with steps: and a list of them.");
      setWrong("");
      clean.mutate({ dry_run, recipe });
    } catch (e) {
      setWrong(e instanceof Error ? e.message : String(e));
    }
  };
  return (
    <form
      onSubmit={(e) => {
        e.preventDefault();
        send(false);
      }}
    >
      <Field label="Recipe (YAML)" hint="Steps run in this order; the recipe is recorded with the version it makes.">
        {(id) => <textarea id={id} className="mono" rows={9} spellCheck={false} value={text} onChange={(e) => setText(e.target.value)} />}
      </Field>
      <div className="fields">
        <Field label="Into the dataset" hint="Empty: this one">
          {(id) => <input id={id} value={to} onChange={(e) => setTo(e.target.value)} />}
        </Field>
        <Field label="What changed">{(id) => <input id={id} value={description} onChange={(e) => setDescription(e.target.value)} />}</Field>
      </div>
      {(wrong || clean.error) && (
        <div className="note bad" role="alert">
          {wrong || `${clean.error!.message} ${clean.error!.hint}`}
        </div>
      )}
      {clean.data?.trial && !wrong && !clean.error && <Tried trial={clean.data.trial} />}
      <div className="actions">
        <button type="button" className="button" disabled={clean.isPending} onClick={() => send(true)}>
          Try it
        </button>
        <button type="submit" className="button primary" disabled={clean.isPending}>
          Make the version
        </button>
      </div>
    </form>
  );
}

export function Clean({ version }: { version: DatasetDetail }) {
  const [search, patch] = useSearch();
  return (
    <Dialog open={search.clean === "1"} onClose={() => patch({ clean: undefined })} title={`Clean ${version.ref}`} wide>
      <Form version={version} done={(made) => patch({ clean: undefined, ...(made ? { version: String(made), tab: "recipe" } : {}) })} />
    </Dialog>
  );
}
