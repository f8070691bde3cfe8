import { useState } from "react";
import { api, path } from "../api/client.ts";
import type { Pipeline, PipelineDocument, PipelineRun } from "../api/types.ts";
import { Dialog, Field } from "./bits.tsx";
import { useGo } from "../lib/nav.tsx";
import { useAct } from "../lib/query.ts";
import { parametersOf, readDocument, valuesOf } from "../lib/pipelines.ts";

const FIRST = `name: nightly
parameters: { suite: null }
steps:
  - evaluate: { suite: "\${parameters.suite}" }
`;

function Form({ pipeline, onClose }: { pipeline: Pipeline | null; onClose: () => void }) {
  const go = useGo();
  const [text, setText] = useState(FIRST);
  const [values, setValues] = useState<Record<string, string>>({});
  const [fresh, setFresh] = useState(false);
  const [unread, setUnread] = useState("");
  const { document, wrong } = pipeline ? { document: pipeline.document, wrong: "" } : readDocument(text);
  const start = useAct(
    (body: object) => api.post<{ run: PipelineRun }>("/pipelines/runs", body),
    ({ run }) => {
      onClose();
      go(path`/pipelines/runs/${run.id}`);
      return `${run.pipeline} ${run.number} is queued`;
    },
    { quiet: true },
  );
  const parameters = parametersOf(document);
  const submit = (document: PipelineDocument) => {
    try {
      const given = valuesOf(Object.fromEntries(parameters.map(({ name }) => [name, values[name] ?? ""])));
      setUnread("");
      start.mutate({ ...(pipeline ? { pipeline: pipeline.name } : { document }), values: given, fresh });
    } catch (e) {
      setUnread(e instanceof Error ? e.message : String(e));
    }
  };
  const said = wrong || unread || (start.error && `${start.error.message} ${start.error.hint}`.trim());
  return (
    <form
      onSubmit={(e) => {
        e.preventDefault();
        if (document) submit(document);
      }}
    >
      {!pipeline && (
        <Field label="Document" hint="A name and steps, as in the file of penstock pipelines run; files it reads are the server's">
          {(id) => <textarea id={id} className="mono" rows={12} spellCheck={false} value={text} onChange={(e) => setText(e.target.value)} />}
        </Field>
      )}
      {parameters.map(({ name, otherwise, needed }) => (
        <Field key={name} label={name} hint={needed ? "It has to be given" : `Otherwise ${otherwise}`}>
          {(id) => <input id={id} required={needed} placeholder={otherwise} value={values[name] ?? ""} onChange={(e) => setValues({ ...values, [name]: e.target.value })} />}
        </Field>
      ))}
      {pipeline && !parameters.length && <p className="muted">It takes no parameters: the steps of its newest run are done again.</p>}
      <label className="row check">
        <input type="checkbox" checked={fresh} onChange={(e) => setFresh(e.target.checked)} /> Begin anew, even if the same run has not finished
      </label>
      {said && (
        <div className="note bad" role="alert">
          {said}
        </div>
      )}
      <div className="actions">
        <button type="submit" className="button primary" disabled={!document || start.isPending}>
          Start the run
        </button>
      </div>
    </form>
  );
}

/** The dialog that starts a pipeline: one that has run, by its name, or one that is written here. */
export function StartPipeline({ open, pipeline, onClose }: { open: boolean; pipeline: Pipeline | null; onClose: () => void }) {
  return (
    <Dialog open={open} onClose={onClose} title={pipeline ? `Start ${pipeline.name}` : "Start a pipeline"} wide={!pipeline}>
      {open && <Form key={pipeline?.name ?? ""} pipeline={pipeline} onClose={onClose} />}
    </Dialog>
  );
}
