/** Rows from a database, the hub or a folder of the server, as the next version of a dataset. */
import { useState } from "react";
import { api, path } from "../../api/client.ts";
import { useAct } from "../../lib/query.ts";
import { Field } from "../bits.tsx";

type Source = "sql" | "hf" | "folder";

interface Asked {
  label: string;
  key: string;
  hint?: string;
  needed?: boolean;
  long?: boolean;
}

const FIELDS: Record<Source, Asked[]> = {
  sql: [
    { label: "Connection", key: "connection", hint: "Its name in [datasets] connections", needed: true },
    { label: "Query", key: "query", needed: true, long: true },
    { label: "Column that identifies a row", key: "key", hint: "With it, a pull that was cut off goes on where it was" },
  ],
  hf: [
    { label: "Repository", key: "repository", hint: "owner/name on the hub", needed: true },
    { label: "Configuration", key: "config" },
    { label: "Split", key: "split", hint: "train when it is empty" },
    { label: "Revision", key: "revision" },
  ],
  folder: [
    { label: "Folder", key: "path", hint: "In one of [datasets] pull_folders", needed: true },
    { label: "Files", key: "pattern", hint: "**/* when it is empty" },
  ],
};

/** `name` is asked for where there is none yet. */
export function PullForm({ name: given, onDone }: { name?: string; onDone: () => void }) {
  const [name, setName] = useState(given ?? "");
  const [source, setSource] = useState<Source>("hf");
  const [values, setValues] = useState<Record<string, string>>({});
  const [bad, setBad] = useState("fail");
  const [description, setDescription] = useState("");
  const pull = useAct(
    () => {
      const told = Object.fromEntries(FIELDS[source].flatMap((f) => (values[f.key]?.trim() ? [[f.key, values[f.key]!.trim()]] : [])));
      return api.post<{ job: string }>(path`/datasets/${name}/pull`, { [source]: told, on_bad_rows: bad, description });
    },
    () => {
      onDone();
      return `Queued: rows are pulled into ${name}`;
    },
    { quiet: true },
  );
  return (
    <form
      onSubmit={(e) => {
        e.preventDefault();
        pull.mutate(undefined);
      }}
    >
      {given === undefined && <Field label="Dataset">{(id) => <input id={id} required value={name} onChange={(e) => setName(e.target.value)} />}</Field>}
      <Field label="From">
        {(id) => (
          <select id={id} value={source} onChange={(e) => setSource(e.target.value as Source)}>
            <option value="hf">The Hugging Face hub</option>
            <option value="sql">A database</option>
            <option value="folder">A folder of the server</option>
          </select>
        )}
      </Field>
      {FIELDS[source].map((f) => (
        <Field key={f.key} label={f.label} hint={f.hint}>
          {(id) => (f.long ? <textarea id={id} className="mono" rows={5} required={f.needed} value={values[f.key] ?? ""} onChange={(e) => setValues({ ...values, [f.key]: e.target.value })} /> : <input id={id} required={f.needed} value={values[f.key] ?? ""} onChange={(e) => setValues({ ...values, [f.key]: e.target.value })} />)}
        </Field>
      ))}
      <div className="fields">
        <Field label="A row that cannot be read">
          {(id) => (
            <select id={id} value={bad} onChange={(e) => setBad(e.target.value)}>
              <option value="fail">refuses the version</option>
              <option value="quarantine">is left out</option>
            </select>
          )}
        </Field>
        <Field label="What changed">{(id) => <input id={id} value={description} onChange={(e) => setDescription(e.target.value)} />}</Field>
      </div>
      {pull.error && (
        <div className="note bad" role="alert">
          {pull.error.message} {pull.error.hint}
        </div>
      )}
      <div className="actions">
        <button type="submit" className="button primary" disabled={pull.isPending}>
          Pull
        </button>
      </div>
    </form>
  );
}
