/** Changing stored traces: bring in another program's, take something out, price anew. Each says first what it touches. */
import { type ReactNode, useEffect, useRef, useState } from "react";
import { useMutation } from "@tanstack/react-query";
import { api, type ApiError, path } from "../api/client.ts";
import type { Job } from "../api/types.ts";
import { BLANK_REDACTION, FORMATS, type Imported, importedSaid, type Redacted, redactedSaid, redactionOf, type Repriced, repricedSaid, repricingOf } from "../lib/correcting.ts";
import { bytes, full } from "../lib/format.ts";
import { useAct, useGet } from "../lib/query.ts";
import { sendFile } from "../lib/upload.ts";
import { Card, Dialog, Field } from "./bits.tsx";
import { DraftForm } from "./draftform.tsx";

const ENDED = ["succeeded", "failed", "cancelled"];

/** A job on its way, then what came of it. */
function Following<T>({ id, said }: { id: string; said: (result: T) => ReactNode }) {
  const job = useGet<Job>(path`/jobs/${id}`, undefined, { every: (j) => (j && ENDED.includes(j.state) ? false : 1_000), staleTime: 0 });
  const stop = useAct(() => api.post(path`/jobs/${id}/cancel`), "It is being stopped");
  const state = job.data?.state ?? "";
  if (job.error || state === "failed" || state === "cancelled")
    return (
      <div className="note bad" role="alert">
        {job.error?.message ?? (job.data?.error || "It was stopped; what was done so far stays done.")}
      </div>
    );
  if (state === "succeeded")
    return (
      <div className="note" role="status">
        {said((job.data?.result ?? {}) as T)}
      </div>
    );
  const far = Object.entries(job.data?.progress ?? {}).filter(([, n]) => typeof n === "number");
  return (
    <div role="status">
      <progress aria-label="The work goes on" />
      <p className="muted">
        In the background{far.length ? `: ${far.map(([name, n]) => `${full(n as number)} ${name.replace(/_/g, " ")}`).join(", ")}` : ""}. This page can be left.
      </p>
      <button type="button" className="button small" disabled={stop.isPending} onClick={() => stop.mutate(undefined)}>
        Stop
      </button>
    </div>
  );
}

function Problems({ done }: { done: Imported }) {
  if (!done.problems?.length) return null;
  return (
    <details className="fold">
      <summary>Rows that could not be read</summary>
      <ul>
        {done.problems.slice(0, 50).map((p) => (
          <li key={p.line}>
            line {full(p.line)}: {p.reason}
          </li>
        ))}
      </ul>
    </details>
  );
}

function Import() {
  const [format, setFormat] = useState("langfuse");
  const [file, setFile] = useState<File | null>(null);
  const [sent, setSent] = useState(0);
  const stop = useRef<AbortController>(undefined);
  useEffect(() => () => stop.current?.abort(), []);
  const send = useAct(
    (chosen: File) => {
      stop.current = new AbortController();
      setSent(0);
      return sendFile<Imported>("/traces/import", { format }, chosen, setSent, stop.current.signal);
    },
    undefined,
    { quiet: true },
  );
  const said = (done: Imported) => (
    <>
      {importedSaid(done)}
      <Problems done={done} />
    </>
  );
  return (
    <Card title="Import traces">
      <DraftForm
        sending={{ ...send, mutate: (chosen: File) => send.mutate(chosen) }}
        action={send.isPending ? (sent < 1 ? "Sending…" : "Reading…") : "Import"}
        ready={!!file}
        read={() => {
          if (!file) throw new Error("Choose a file.");
          return file;
        }}
      >
        <div className="fields">
          <Field label="Exported by">
            {(id) => (
              <select id={id} value={format} onChange={(e) => setFormat(e.target.value)}>
                {FORMATS.map(([key, label]) => (
                  <option key={key} value={key}>
                    {label}
                  </option>
                ))}
              </select>
            )}
          </Field>
          <Field label="Traces file" hint={file ? `${file.name}, ${bytes(file.size)}: its spans are added to this project` : "What is there already is not added twice"}>
            {(id) => <input id={id} type="file" required onChange={(e) => setFile(e.target.files?.[0] ?? null)} />}
          </Field>
        </div>
        {send.isPending && <progress aria-label="Sent" max={1} value={sent < 1 ? sent : undefined} />}
      </DraftForm>
      {send.data && (send.data.job ? <Following<Imported> key={send.data.job} id={send.data.job} said={said} /> : <div className="note spaced" role="status">{said(send.data)}</div>)}
    </Card>
  );
}

interface Asked {
  body: Record<string, unknown>;
  said: string;
  none: boolean;
}

/** Asks what would be touched, waits for a yes, and follows the job. */
function useCorrection<T extends { job?: string | null }>(url: string, more: object, said: (done: T, would: boolean) => string, none: (done: T) => boolean) {
  const [asked, setAsked] = useState<Asked | null>(null);
  const [job, setJob] = useState("");
  const preview = useMutation<T, ApiError, Record<string, unknown>>({
    mutationFn: (body) => api.post<T>(url, { ...body, dry_run: true }),
    onSuccess: (done, body) => setAsked({ body, said: said(done, true), none: none(done) }),
  });
  const act = useAct(
    (body: Record<string, unknown>) => api.post<T>(url, { ...body, ...more, dry_run: false }),
    (done) => {
      setAsked(null);
      setJob(done.job ?? "");
    },
    { quiet: true },
  );
  return { asked, job, preview, act, leave: () => setAsked(null) };
}

function Sure({ correction, title, warning, yes }: { correction: ReturnType<typeof useCorrection>; title: string; warning: string; yes: string }) {
  const { asked, act, leave } = correction;
  return (
    <Dialog open={asked !== null} onClose={leave} title={title}>
      <p>{asked?.said}</p>
      {!asked?.none && <p>{warning}</p>}
      {act.error && (
        <div className="note bad" role="alert">
          {act.error.message} {act.error.hint}
        </div>
      )}
      <div className="actions">
        <button type="button" className="button" onClick={leave}>
          Leave it
        </button>
        {!asked?.none && (
          <button type="button" className="button danger" disabled={act.isPending} onClick={() => asked && act.mutate(asked.body)}>
            {yes}
          </button>
        )}
      </div>
    </Dialog>
  );
}

function Redact() {
  const [draft, setDraft] = useState(BLANK_REDACTION);
  const put = (change: Partial<typeof draft>) => setDraft((old) => ({ ...old, ...change }));
  const correction = useCorrection<Redacted>("/traces/redact", { background: true }, redactedSaid, (done) => !done.traces);
  return (
    <Card title="Take something out of stored traces">
      <DraftForm read={() => redactionOf(draft)} sending={correction.preview} action={correction.preview.isPending ? "Counting…" : "See what would change"}>
        <Field label="Which traces" hint="A query as on the page of traces, such as user:ada since:30d; empty: all of the project">
          {(id) => <input id={id} className="mono" value={draft.query} onChange={(e) => put({ query: e.target.value })} />}
        </Field>
        <label className="row check">
          <input type="checkbox" checked={draft.pii} onChange={(e) => put({ pii: e.target.checked })} /> Personal data
        </label>
        <label className="row check">
          <input type="checkbox" checked={draft.secrets} onChange={(e) => put({ secrets: e.target.checked })} /> Keys and tokens of services
        </label>
        <div className="fields">
          <Field label="Texts that match" hint="An expression (RE2), such as T-[0-9]{4,}">
            {(id) => <input id={id} className="mono" value={draft.pattern} onChange={(e) => put({ pattern: e.target.value })} />}
          </Field>
          <Field label="Values under these keys" hint="Become [MASKED]; * and ? stand for anything">
            {(id) => <input id={id} className="mono" placeholder="*password* user" value={draft.fields} onChange={(e) => put({ fields: e.target.value })} />}
          </Field>
        </div>
      </DraftForm>
      <div className="spaced">{correction.job && <Following<Redacted> key={correction.job} id={correction.job} said={(done) => redactedSaid(done, false)} />}</div>
      <Sure correction={correction as never} title="Redact these traces?" warning="What is taken out is gone from spans, logs and the index. This cannot be undone." yes="Redact" />
    </Card>
  );
}

function Reprice() {
  const [draft, setDraft] = useState({ since: "", until: "", model: "", given: false });
  const put = (change: Partial<typeof draft>) => setDraft((old) => ({ ...old, ...change }));
  const correction = useCorrection<Repriced>("/traces/reprice", {}, repricedSaid, (done) => !done.changed);
  return (
    <Card title="Price calls anew">
      <DraftForm read={() => repricingOf(draft)} sending={correction.preview} action={correction.preview.isPending ? "Counting…" : "See what would change"}>
        <p className="muted">Calls of the past by the prices that hold now; every sum follows.</p>
        <div className="fields">
          <Field label="From">{(id) => <input id={id} type="date" required value={draft.since} onChange={(e) => put({ since: e.target.value })} />}</Field>
          <Field label="Before" hint="Empty: until now">
            {(id) => <input id={id} type="date" value={draft.until} onChange={(e) => put({ until: e.target.value })} />}
          </Field>
          <Field label="Only this model" hint="That answered or was asked for; empty: all">
            {(id) => <input id={id} value={draft.model} onChange={(e) => put({ model: e.target.value })} />}
          </Field>
        </div>
        <label className="row check">
          <input type="checkbox" checked={draft.given} onChange={(e) => put({ given: e.target.checked })} /> Also costs that came with their spans
        </label>
      </DraftForm>
      <div className="spaced">{correction.job && <Following<Repriced> key={correction.job} id={correction.job} said={(done) => repricedSaid(done, false)} />}</div>
      <Sure correction={correction as never} title="Price these calls anew?" warning="Dashboards, budgets of the past and every sum follow; pricing anew with other prices is possible again." yes="Price anew" />
    </Card>
  );
}

export function Correcting() {
  return (
    <>
      <Import />
      <Redact />
      <Reprice />
    </>
  );
}
