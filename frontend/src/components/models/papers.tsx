/** What travels with a version: its files and their scan, its card, its evidence. */
import { useQueryClient } from "@tanstack/react-query";
import { useEffect, useState } from "react";
import { api, currentProject, path, query } from "../../api/client.ts";
import type { Job, ModelVersionDetail } from "../../api/types.ts";
import { bytes, full } from "../../lib/format.ts";
import { A } from "../../lib/nav.tsx";
import { useAct, useGet } from "../../lib/query.ts";
import { scanOf } from "../../lib/registry.ts";
import { flat } from "../../lib/runs.ts";
import { Badge, Card, Code, Facts, Field, Table, When } from "../bits.tsx";
import { hrefOf } from "../lineage.tsx";
import { Markdown } from "../markdown.tsx";

export function CardEditor({ version }: { version: ModelVersionDetail }) {
  const [text, setText] = useState<string | null>(null);
  const save = useAct(
    (card: string | null) => api.put(path`/models/${version.model}/versions/${version.number}/card`, { text: card }),
    (_t, card) => {
      setText(null);
      return card === null ? "The card is made from the evidence again" : "Card saved";
    },
    { quiet: true },
  );
  return (
    <Card
      title="Card"
      actions={
        text === null && (
          <>
            {version.card_edited && (
              <button type="button" className="button small" disabled={save.isPending} onClick={() => save.mutate(null)}>
                Back to the evidence
              </button>
            )}
            <button type="button" className="button small" onClick={() => setText(version.card)}>
              Edit the card
            </button>
          </>
        )
      }
    >
      {text !== null ? (
        <form
          onSubmit={(e) => {
            e.preventDefault();
            save.mutate(text);
          }}
        >
          <div className="columns">
            <textarea className="mono wrap" aria-label="Card (Markdown)" rows={26} autoFocus value={text} onChange={(e) => setText(e.target.value)} />
            <div className="card-preview" role="region" aria-label="How the card reads" tabIndex={0}>
              <Markdown source={text} />
            </div>
          </div>
          {save.error && (
            <div className="note bad" role="alert">
              {save.error.message} {save.error.hint}
            </div>
          )}
          <div className="actions spaced">
            <button type="submit" className="button primary" disabled={save.isPending}>
              Save card
            </button>
            <button type="button" className="button" onClick={() => setText(null)}>
              Leave it
            </button>
          </div>
        </form>
      ) : version.card ? (
        <Markdown source={version.card} />
      ) : (
        <p className="muted">This version has no card.</p>
      )}
    </Card>
  );
}

const fileHref = (v: ModelVersionDetail, file: string) => `/api/v1${path`/models/${v.model}/versions/${v.number}/files/`}${file.split("/").map(encodeURIComponent).join("/")}${query({ project: currentProject() })}`;

const ENDED = ["succeeded", "failed", "cancelled"];

type Check = "verify" | "scan";
/** Both read every byte, so a job does them. */
const CHECKS: Record<Check, { address: string; doing: string }> = {
  verify: { address: "/verify", doing: "Every byte is read" },
  scan: { address: "/scan/background", doing: "The files are scanned" },
};

interface Checked {
  signed?: boolean;
  holds?: boolean;
  problems?: string[];
}

const foundOf = (what: Check, { signed, holds, problems }: Checked): string => {
  if (what === "scan") return "The files were scanned again.";
  if (holds) return "Every byte is as it was signed.";
  return [signed ? "" : "There is no signed manifest to hold it against.", ...(problems ?? [])].join(" ").trim();
};

/** A check that was asked for: the file it is at, then what it found. */
function Checking({ what, job: id }: { what: Check; job: string }) {
  const client = useQueryClient();
  const job = useGet<Job>(path`/jobs/${id}`, undefined, { every: (j) => (j && ENDED.includes(j.state) ? false : 1_000), staleTime: 0 });
  const state = job.data?.state;
  useEffect(() => {
    if (state === "succeeded") void client.invalidateQueries({ predicate: (q) => !String(q.queryKey[1]).startsWith("/jobs/") });
  }, [state, client]);
  if (job.error || state === "failed" || state === "cancelled")
    return (
      <div className="note bad" role="alert">
        {job.error?.message ?? (job.data?.error || "The check was cancelled.")}
      </div>
    );
  if (state === "succeeded") {
    const found = (job.data?.result ?? {}) as Checked;
    const bad = what === "verify" && !found.holds;
    return (
      <div className={bad ? "note bad" : "note"} role={bad ? "alert" : "status"}>
        {foundOf(what, found)}
      </div>
    );
  }
  const file = String(job.data?.progress?.file ?? "");
  return (
    <div className="note" role="status">
      <progress aria-label={CHECKS[what].doing} /> {`${CHECKS[what].doing} in the background${file ? `: ${file}` : ""}. This page can be left.`}
    </div>
  );
}

export function Files({ version }: { version: ModelVersionDetail }) {
  const scan = scanOf(version.scan);
  const found = new Map(scan?.findings.map((f) => [f.path, f]));
  const [asked, setAsked] = useState<{ what: Check; job: string } | null>(null);
  const check = useAct(
    (what: Check) => api.post<{ job: string }>(`${path`/models/${version.model}/versions/${version.number}`}${CHECKS[what].address}`),
    ({ job }, what) => setAsked({ what, job }),
  );
  return (
    <>
      {scan ? (
        <div className={scan.safe ? "note" : "note bad"} role={scan.safe ? undefined : "alert"}>
          {scan.safe ? "Scanned: nothing in these files can run code." : "Scanned: some of these files can run code when they are loaded."}{" "}
          {Object.entries(scan.formats)
            .map(([format, n]) => `${full(n)} × ${format}`)
            .join(", ")}
          {scan.at && (
            <>
              {" · "}
              <When at={scan.at} />
            </>
          )}
        </div>
      ) : (
        <div className="note">These files were registered before files were scanned.</div>
      )}
      {asked && <Checking key={asked.job} {...asked} />}
      <Card
        title={`${full(version.files.length)} files, ${bytes(version.size)}`}
        flush
        actions={
          <>
            <button type="button" className="button small" disabled={check.isPending} onClick={() => check.mutate("scan")}>
              Scan again
            </button>
            <button type="button" className="button small" disabled={check.isPending} onClick={() => check.mutate("verify")}>
              Verify every byte
            </button>
          </>
        }
      >
        <Table
          label="Files"
          rows={version.files}
          keyOf={(f) => f.path}
          columns={[
            { head: "File", cell: (f) => <a href={fileHref(version, f.path)}>{f.path}</a>, mono: true },
            { head: "Size", cell: (f) => bytes(f.size), num: true },
            {
              head: "Scan",
              cell: (f) => {
                const finding = found.get(f.path);
                if (!scan) return "–";
                if (!finding) return <Badge value="passed" />;
                return (
                  <span className="row">
                    <Badge value={finding.format} tone={finding.dangerous.length ? "bad" : "wait"} />
                    <span className="wrap small">{finding.dangerous.length ? `would import ${finding.dangerous.join(", ")}` : finding.imports.length ? `imports only ${finding.imports.join(", ")}` : "is never loaded here"}</span>
                  </span>
                );
              },
            },
            { head: "SHA-256", cell: (f) => <span title={f.sha256}>{f.sha256}</span>, mono: true },
          ]}
        />
      </Card>
      {version.manifest != null && (
        <Card title="Signed manifest">
          <Code text={JSON.stringify(version.manifest, null, 2)} label="Manifest" max={260} />
        </Card>
      )}
    </>
  );
}

/** A record of unknown depth as a table of two columns. */
function Known({ title, value }: { title: string; value: unknown }) {
  const rows = Object.entries(flat(value));
  if (!rows.length) return null;
  return (
    <Card title={title} flush>
      <Table label={title} rows={rows} keyOf={([k]) => k} columns={[{ head: "What", cell: ([k]) => k || title, mono: true }, { head: "Says", cell: ([, v]) => <span className="wrap">{String(v)}</span> }]} />
    </Card>
  );
}

/** Licence and intended use, to be said by whoever knows. */
function Statement({ version }: { version: ModelVersionDetail }) {
  const [editing, setEditing] = useState(false);
  const [licence, setLicence] = useState(version.licence ?? "");
  const [use, setUse] = useState(version.intended_use ?? "");
  const save = useAct(
    () => api.put(path`/models/${version.model}/versions/${version.number}/statement`, { licence, intended_use: use }),
    () => {
      setEditing(false);
      return "Recorded";
    },
  );
  const { verdict } = version;
  return (
    <Card
      title="Papers"
      actions={
        !editing && (
          <button type="button" className="button small" onClick={() => setEditing(true)}>
            State licence and use
          </button>
        )
      }
    >
      {editing ? (
        <form
          onSubmit={(e) => {
            e.preventDefault();
            save.mutate(undefined);
          }}
        >
          <Field label="Licence" hint="An SPDX identifier such as Apache-2.0">
            {(id) => <input id={id} value={licence} onChange={(e) => setLicence(e.target.value)} />}
          </Field>
          <Field label="Intended use">{(id) => <textarea id={id} rows={3} value={use} onChange={(e) => setUse(e.target.value)} />}</Field>
          <div className="actions">
            <button type="submit" className="button primary" disabled={save.isPending}>
              Save
            </button>
            <button type="button" className="button" onClick={() => setEditing(false)}>
              Leave it
            </button>
          </div>
        </form>
      ) : (
        <Facts
          items={[
            ["Licence", version.licence || <span className="muted">not stated</span>],
            ["Intended use", version.intended_use || <span className="muted">not stated</span>],
            ["Manifest", verdict?.signed ? <Badge value={verdict.holds ? "signed, holds" : "does not hold"} tone={verdict.holds ? "good" : "bad"} /> : <span className="muted">not signed</span>],
            ["Signed with", verdict?.key_id ? <span className="mono">{verdict.key_id}</span> : null],
          ]}
        />
      )}
      {verdict && verdict.signed && !verdict.holds && <div className="note bad spaced">{verdict.problems.join(" ")}</div>}
    </Card>
  );
}

export function Papers({ version }: { version: ModelVersionDetail }) {
  const evidence = version.evidence ?? [];
  return (
    <>
      <Statement key={`${version.licence} ${version.intended_use}`} version={version} />
      <Known title="Signature" value={version.signature} />
      <Card title="Evidence" flush>
        {evidence.length ? (
          <Table
            label="Evidence"
            rows={evidence}
            keyOf={(e, i) => `${i}${e.ref}`}
            columns={[
              { head: "Kind", cell: (e) => e.kind.replace(/_/g, " ") },
              { head: "Role", cell: (e) => e.role.replace(/_/g, " ") },
              {
                head: "Which",
                cell: (e) => {
                  const href = hrefOf(e.kind, e.ref);
                  return href ? <A href={href}>{e.ref}</A> : e.ref;
                },
              },
            ]}
          />
        ) : (
          <p className="muted pad">Nothing was found out about this version yet: no evaluation, no gate, no deployment.</p>
        )}
      </Card>
    </>
  );
}
