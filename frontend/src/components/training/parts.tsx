/** Pieces of a run's page: what went in, what came out, what people wrote about it. */
import { api, currentProject, path, query } from "../../api/client.ts";
import type { Page, RunArtifact, TrainingRun } from "../../api/types.ts";
import { bytes, figure } from "../../lib/format.ts";
import { A } from "../../lib/nav.tsx";
import { useGet } from "../../lib/query.ts";
import { flat } from "../../lib/runs.ts";
import { writeYaml } from "../../lib/yaml.ts";
import { Card, Code, Facts, Table, When } from "../bits.tsx";
import { hrefOf } from "../lineage.tsx";
import { NoteCard } from "../note.tsx";
import { Empty, Ready } from "../state.tsx";

export function Reference({ kind, value }: { kind: string; value: string | null | undefined }) {
  if (!value) return null;
  const href = hrefOf(kind, value);
  return href && (value.includes("@") || kind === "training_run") ? <A href={href}>{value}</A> : <span>{value}</span>;
}

function Links({ links }: { links: Record<string, string>[] }) {
  return (
    <Table
      label="Inputs"
      rows={links}
      keyOf={(l) => `${l.kind} ${l.ref}`}
      columns={[
        { head: "Kind", cell: (l) => l.kind?.replace(/_/g, " ") },
        { head: "Version", cell: (l) => <Reference kind={l.kind ?? ""} value={l.ref} /> },
        { head: "Content", cell: (l) => <span title={l.hash}>{l.hash ? `${l.hash.slice(0, 20)}…` : "–"}</span>, mono: true },
      ]}
    />
  );
}

export function Inputs({ run }: { run: TrainingRun }) {
  const environment = Object.entries(flat(run.environment ?? {}));
  const links = run.inputs ?? [];
  return (
    <>
      <div className="columns">
        <Card title="Recipe">
          <Code text={writeYaml(run.recipe)} label="Recipe" max={520} />
        </Card>
        <Card title="Environment" flush>
          {environment.length ? <Table label="Environment" rows={environment} keyOf={([k]) => k} columns={[{ head: "What", cell: ([k]) => k, mono: true }, { head: "Was", cell: ([, v]) => <span title={String(v)}>{String(v)}</span>, mono: true }]} /> : <p className="muted pad">No environment is recorded for this run.</p>}
        </Card>
      </div>
      {links.length > 0 && (
        <Card title="Data and models that went in" flush>
          <Links links={links} />
        </Card>
      )}
      {run.examples.length > 0 && (
        <Card title="First rows, as the model saw them">
          <ol className="seen-rows">
            {run.examples.slice(0, 4).map((e, i) => (
              <li key={i}>
                <pre className="rendered" tabIndex={0} aria-label={`Row ${i + 1}`}>
                  {e.context}
                  <mark className="trained">{e.trained}</mark>
                </pre>
                {e.rejected && <p className="muted small wrap">{`Rejected: ${e.rejected}`}</p>}
              </li>
            ))}
          </ol>
        </Card>
      )}
      {run.weights_hash && (
        <Card title="Weights">
          <Facts items={[["SHA-256 of the weights", <span className="mono">{run.weights_hash}</span>]]} />
          <p className="muted spaced">The same recipe, versions and seed on the same machine give the same hash.</p>
        </Card>
      )}
    </>
  );
}

export function Artifacts({ run, live }: { run: TrainingRun; live: boolean }) {
  const artifacts = useGet<Page<RunArtifact>>(path`/training/runs/${run.id}/artifacts`, undefined, { every: live ? 5_000 : false });
  const href = (a: RunArtifact) => `/api/v1${path`/training/runs/${run.id}/artifacts/content`}${query({ path: a.path, project: currentProject() })}`;
  return (
    <Ready query={artifacts} rows={4}>
      {(page) =>
        page.items.length ? (
          <Card title="Artifacts" flush>
            <Table
              label="Artifacts"
              rows={page.items}
              keyOf={(a, i) => `${i}${a.path}`}
              columns={[
                { head: "File", cell: (a) => (a.sha256 ? <a href={href(a)}>{a.path}</a> : <span title="Stored when the run pauses or ends">{a.path}</span>), mono: true },
                { head: "Kind", cell: (a) => a.kind ?? "–" },
                { head: "Step", cell: (a) => figure(a.step), num: true },
                { head: "Size", cell: (a) => bytes(a.size), num: true },
                { head: "SHA-256", cell: (a) => <span title={a.sha256}>{a.sha256 ? `${a.sha256.slice(0, 16)}…` : "–"}</span>, mono: true },
                { head: "Made", cell: (a) => <When at={a.created_at} /> },
              ]}
            />
          </Card>
        ) : (
          <Empty title="No artifacts yet">
            <p className="muted">Checkpoints and other files a run keeps are listed here as soon as they are written.</p>
          </Empty>
        )
      }
    </Ready>
  );
}

export function Note({ run }: { run: TrainingRun }) {
  return <NoteCard note={run.note ?? ""} of="run" save={(text) => api.put(path`/training/runs/${run.id}/note`, { text })} />;
}
