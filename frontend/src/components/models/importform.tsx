import { useState } from "react";
import { api } from "../../api/client.ts";
import { useAct } from "../../lib/query.ts";
import { Field } from "../bits.tsx";

type Source = "hub" | "folder" | "mlflow";

/** Where each source's model is, as the server wants to be told. */
const PLACE: Record<Source, { key: string; label: string; hint: string }> = {
  hub: { key: "repository", label: "Model id", hint: "owner/name on the model hub" },
  folder: { key: "folder", label: "Folder", hint: "A folder on the server, inside those it may import from" },
  mlflow: { key: "uri", label: "MLflow server", hint: "Its address, such as http://mlflow.internal:5000" },
};

export function ImportForm({ onDone }: { onDone: () => void }) {
  const [source, setSource] = useState<Source>("hub");
  const [place, setPlace] = useState("");
  const [revision, setRevision] = useState("");
  const [name, setName] = useState("");
  const [model, setModel] = useState("");
  const [number, setNumber] = useState("1");
  const [pickles, setPickles] = useState(false);
  const start = useAct(
    () => api.post("/models/import", { source, name, [PLACE[source].key]: place, ...(source === "hub" && revision ? { revision } : {}), ...(source === "mlflow" ? { model, version: number } : {}), allow_pickles: pickles }),
    () => {
      onDone();
      return `${name} is being imported: every file is scanned and checked first`;
    },
    { quiet: true },
  );
  return (
    <form
      onSubmit={(e) => {
        e.preventDefault();
        start.mutate(undefined);
      }}
    >
      <Field label="From">
        {(id) => (
          <select id={id} value={source} onChange={(e) => setSource(e.target.value as Source)}>
            <option value="hub">A model hub</option>
            <option value="folder">A folder on the server</option>
            <option value="mlflow">MLflow</option>
          </select>
        )}
      </Field>
      <Field label={PLACE[source].label} hint={PLACE[source].hint}>
        {(id) => <input id={id} required value={place} onChange={(e) => setPlace(e.target.value)} />}
      </Field>
      {source === "hub" && <Field label="Revision" hint="A branch, tag or commit; the newest when it is empty">{(id) => <input id={id} value={revision} onChange={(e) => setRevision(e.target.value)} />}</Field>}
      {source === "mlflow" && (
        <div className="fields">
          <Field label="Registered model">{(id) => <input id={id} required value={model} onChange={(e) => setModel(e.target.value)} />}</Field>
          <Field label="Its version">{(id) => <input id={id} required value={number} onChange={(e) => setNumber(e.target.value)} />}</Field>
        </div>
      )}
      <Field label="Name here" hint="Lower-case letters, digits, dots, dashes and underscores">
        {(id) => <input id={id} required value={name} onChange={(e) => setName(e.target.value)} />}
      </Field>
      <label className="row check">
        <input type="checkbox" checked={pickles} onChange={(e) => setPickles(e.target.checked)} />
        Allow pickles that import no more than tensors need
      </label>
      {start.error && (
        <div className="note bad" role="alert">
          {start.error.message} {start.error.hint}
        </div>
      )}
      <div className="actions">
        <button type="submit" className="button primary" disabled={start.isPending}>
          Import
        </button>
      </div>
    </form>
  );
}
