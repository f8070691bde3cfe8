/** A file of one's own machine as the next version of a dataset. */
import { useEffect, useRef, useState } from "react";
import { path } from "../../api/client.ts";
import type { DatasetVersion, Job } from "../../api/types.ts";
import { bytes, full } from "../../lib/format.ts";
import { useAct, useGet } from "../../lib/query.ts";
import { ENDINGS, nameFrom, sendFile } from "../../lib/upload.ts";
import { Field } from "../bits.tsx";

interface Uploaded {
  version: DatasetVersion | null;
  job: string | null;
}
type Done = (dataset: string, version?: number) => void;

/** A large file becomes a job: how far it is, until its version is there. */
function Watch({ id, dataset, done }: { id: string; dataset: string; done: Done }) {
  const job = useGet<Job>(path`/jobs/${id}`, undefined, { every: (j) => (j && ["succeeded", "failed", "cancelled"].includes(j.state) ? false : 1_000), staleTime: 0 });
  const state = job.data?.state;
  const made = String(job.data?.result?.version ?? "");
  useEffect(() => {
    if (state === "succeeded") done(dataset, Number(made.split("@")[1]) || undefined);
  }, [state, made, dataset, done]);
  const rows = Number(job.data?.progress?.rows);
  if (job.error || state === "failed" || state === "cancelled")
    return (
      <div className="note bad" role="alert">
        {job.error?.message ?? (job.data?.error || "The upload was cancelled.")}
      </div>
    );
  return (
    <div role="status">
      <progress aria-label="The rows are read" />
      <p className="muted">{`The rows are read in the background${rows ? `: ${full(rows)} so far` : ""}. This window can be closed.`}</p>
    </div>
  );
}

/** `name` is asked for where there is none yet. */
export function UploadForm({ name: given, onDone }: { name?: string; onDone: Done }) {
  const [file, setFile] = useState<File | null>(null);
  const [name, setName] = useState(given ?? "");
  const [bad, setBad] = useState("quarantine");
  const [more, setMore] = useState({ key: "", splits: "", description: "" });
  const [append, setAppend] = useState(false);
  const [sent, setSent] = useState(0);
  const stop = useRef<AbortController>(undefined);
  const send = useAct(
    (chosen: File) => {
      stop.current = new AbortController();
      setSent(0);
      const told = { ...more, filename: chosen.name, on_bad_rows: bad, append: append || undefined };
      return sendFile<Uploaded>(path`/datasets/${name.trim()}/versions`, told, chosen, setSent, stop.current.signal);
    },
    (made) => {
      if (!made.version) return undefined;
      const { ref, rows, quarantined, number } = made.version;
      onDone(name.trim(), number);
      return `${full(rows)} rows are ${ref}${quarantined ? `; ${full(quarantined)} could not be read` : ""}`;
    },
    { quiet: true },
  );
  useEffect(() => () => stop.current?.abort(), []);
  const set = (key: keyof typeof more) => (e: { target: { value: string } }) => setMore({ ...more, [key]: e.target.value });
  if (send.data?.job) return <Watch id={send.data.job} dataset={name.trim()} done={onDone} />;
  return (
    <form
      onSubmit={(e) => {
        e.preventDefault();
        if (file) send.mutate(file);
      }}
    >
      <Field label="File" hint={file ? bytes(file.size) : "CSV, TSV, JSON, JSONL, Parquet or Arrow, also compressed"}>
        {(id) => (
          <input
            id={id}
            type="file"
            required
            accept={ENDINGS.join(",")}
            onChange={(e) => {
              const chosen = e.target.files?.[0] ?? null;
              setFile(chosen);
              if (chosen && !given && (!name || name === nameFrom(file?.name ?? ""))) setName(nameFrom(chosen.name));
            }}
          />
        )}
      </Field>
      {given === undefined && (
        <Field label="Dataset" hint="A new name makes a new dataset; a known one gets its next version.">
          {(id) => <input id={id} required pattern="[a-z0-9][a-z0-9._\-]*" title="Lower-case letters, digits, dots, dashes and underscores" value={name} onChange={(e) => setName(e.target.value)} />}
        </Field>
      )}
      <div className="fields">
        <Field label="A row that cannot be read">
          {(id) => (
            <select id={id} value={bad} onChange={(e) => setBad(e.target.value)}>
              <option value="quarantine">is left out, and listed</option>
              <option value="fail">refuses the version</option>
            </select>
          )}
        </Field>
        <Field label="Key column" hint="Tells rows apart between versions">
          {(id) => <input id={id} value={more.key} onChange={set("key")} />}
        </Field>
        <Field label="Splits" hint="Such as train=0.8,test=0.2">
          {(id) => <input id={id} value={more.splits} onChange={set("splits")} />}
        </Field>
      </div>
      <Field label="What it is">{(id) => <input id={id} value={more.description} onChange={set("description")} />}</Field>
      <label className="row check">
        <input type="checkbox" checked={append} onChange={(e) => setAppend(e.target.checked)} /> Put the rows behind those of the newest version
      </label>
      {send.error && (
        <div className="note bad" role="alert">
          {send.error.message} {send.error.hint}
        </div>
      )}
      {send.isPending && <progress aria-label="Sent" max={1} value={sent < 1 ? sent : undefined} />}
      <div className="actions">
        {send.isPending && (
          <button type="button" className="button" onClick={() => stop.current?.abort()}>
            Stop
          </button>
        )}
        <button type="submit" className="button primary" disabled={!file || !name.trim() || send.isPending}>
          {send.isPending ? (sent < 1 ? "Sending…" : "Reading…") : "Upload"}
        </button>
      </div>
    </form>
  );
}
