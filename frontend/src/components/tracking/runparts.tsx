/** Pieces of a tracked run's page: what it was given and measured, its code and data, its models and traces. */
import { useState } from "react";
import { api, path } from "../../api/client.ts";
import type { Edge, LoggedModel, Page, TraceRow, TrackedData, TrackedRun } from "../../api/types.ts";
import { count, ms, usd } from "../../lib/format.ts";
import { A, useSearch } from "../../lib/nav.tsx";
import { useAct, useGet } from "../../lib/query.ts";
import { codeOf, commitHref, ownTags, written } from "../../lib/tracking.ts";
import { Badge, Card, Code, Facts, Table, When } from "../bits.tsx";
import { hrefOf } from "../lineage.tsx";
import { NoteCard } from "../note.tsx";
import { Empty, Ready } from "../state.tsx";
import { Files } from "./files.tsx";

const MANY = 15;

/** A table of names and values, with a field to find one when there are many. */
function Pairs({ title, label, rows, empty }: { title: string; label: string; rows: [string, string, string?][]; empty: string }) {
  const [text, setText] = useState("");
  const shown = rows.filter(([name]) => name.toLowerCase().includes(text.toLowerCase()));
  const more = rows.some((r) => r[2] !== undefined);
  return (
    <Card title={`${title} (${rows.length})`} flush actions={rows.length > MANY && <input type="search" aria-label={`Find one of the ${label}`} placeholder="Find one" value={text} onChange={(e) => setText(e.target.value)} />}>
      {rows.length ? (
        <div className="pairs-scroll">
          <Table
            label={title}
            rows={shown}
            keyOf={([name]) => name}
            columns={[
              { head: "Name", cell: ([name]) => <span className="wrap">{name}</span> },
              { head: "Value", cell: ([, value]) => <span className="wrap">{value}</span>, mono: true, num: more },
              ...(more ? [{ head: "At step", cell: (r: [string, string, string?]) => r[2], num: true }] : []),
            ]}
          />
        </div>
      ) : (
        <p className="muted pad">{empty}</p>
      )}
    </Card>
  );
}

function Tags({ run }: { run: TrackedRun }) {
  const [adding, setAdding] = useState(false);
  const [key, setKey] = useState("");
  const [value, setValue] = useState("");
  const change = useAct(
    (body: { tags?: Record<string, string>; untag?: string[] }) => api.patch(path`/runs/${run.id}`, body),
    () => {
      setAdding(false);
      setKey("");
      setValue("");
    },
  );
  const tags = ownTags(run.tags);
  return (
    <Card
      title="Tags"
      actions={
        !adding && (
          <button type="button" className="button small" onClick={() => setAdding(true)}>
            Add a tag
          </button>
        )
      }
    >
      {tags.length ? (
        <div className="chips model-tags">
          {tags.map(([k, v]) => (
            <span key={k} className="badge plain" title={`${k} = ${v}`}>
              <span className="ellipsis">{`${k} = ${v.length > 60 ? `${v.slice(0, 59)}…` : v}`}</span>
              <button type="button" className="icon-button tag-drop" aria-label={`Take the tag ${k} away`} onClick={() => change.mutate({ untag: [k] })}>
                <svg viewBox="0 0 16 16" aria-hidden="true">
                  <path d="M4.5 4.5l7 7M11.500 4.500l-7 7" />
                </svg>
              </button>
            </span>
          ))}
        </div>
      ) : (
        !adding && <p className="muted">No tags of its own.</p>
      )}
      {adding && (
        <form
          className="row spaced"
          onSubmit={(e) => {
            e.preventDefault();
            change.mutate({ tags: { [key.trim()]: value } });
          }}
        >
          <input aria-label="Name of the tag" placeholder="team" autoFocus maxLength={250} value={key} onChange={(e) => setKey(e.target.value)} />
          <input className="grow" aria-label="Value of the tag" placeholder="mail" value={value} onChange={(e) => setValue(e.target.value)} />
          <button type="submit" className="button small primary" disabled={!key.trim() || change.isPending}>
            Save
          </button>
          <button type="button" className="button small" onClick={() => setAdding(false)}>
            Leave it
          </button>
        </form>
      )}
    </Card>
  );
}

export function Overview({ run }: { run: TrackedRun }) {
  const metrics = Object.values(run.metrics);
  return (
    <>
      <div className="columns">
        <Pairs title="Metrics" label="metrics" rows={metrics.map((m): [string, string, string] => [m.key, written(m), m.step.toLocaleString("en-US")])} empty="Nothing is measured yet." />
        <Pairs title="Parameters" label="parameters" rows={Object.entries(run.params)} empty="It was given no parameters." />
      </div>
      <div className="columns">
        <NoteCard note={run.note} of="run" save={(note) => api.patch(path`/runs/${run.id}`, { note })} />
        <Tags run={run} />
      </div>
    </>
  );
}

/** What a dataset is called where it came from: an address, a path, or what MLflow says of it in JSON. */
function sourceOf(data: TrackedData): string {
  try {
    const said = JSON.parse(data.source) as Record<string, unknown>;
    const first = said.uri ?? said.url ?? said.path ?? said.dataset_name;
    return typeof first === "string" ? first : "";
  } catch {
    return data.source;
  }
}

export function Inputs({ run }: { run: TrackedRun }) {
  const code = codeOf(run.tags);
  const commit = commitHref(code);
  const known = Object.values(code).some(Boolean);
  return (
    <>
      <Card title="Code">
        {known ? (
          <Facts
            items={[
              ["Program", code.program && <span className="mono">{code.program}</span>],
              ["Entry point", code.entry && <span className="mono">{code.entry}</span>],
              [
                "Commit",
                code.commit && (
                  <span className="mono">
                    {commit ? (
                      <a href={commit} rel="noreferrer" target="_blank">
                        {code.commit}
                      </a>
                    ) : (
                      code.commit
                    )}
                  </span>
                ),
              ],
              ["Branch", code.branch],
              ["Repository", code.repository && <span className="mono">{code.repository}</span>],
              ["Started as", code.kind],
            ]}
          />
        ) : (
          <p className="muted">The program did not say which code it was. MLflow's client and our SDK tell it where they run from a file, with the commit where that lies in a Git checkout.</p>
        )}
      </Card>
      <Card title="Data" flush={run.datasets.length > 0}>
        {run.datasets.length ? (
          <Table
            label="Data"
            rows={run.datasets}
            keyOf={(d) => `${d.name} ${d.digest}`}
            columns={[
              { head: "Dataset", cell: (d) => (d.version ? <A href={hrefOf("dataset_version", d.version)!}>{d.version}</A> : d.name) },
              { head: "For", cell: (d) => d.tags["mlflow.data.context"] ?? "–" },
              { head: "Version", cell: (d) => d.digest || "–", mono: true },
              { head: "Kind", cell: (d) => (d.version ? "a dataset here" : d.source_type || "–") },
              { head: "From", cell: (d) => (d.version ? "–" : <span title={d.source}>{sourceOf(d) || "–"}</span>) },
            ]}
          />
        ) : (
          <p className="muted">No data is recorded for this run: MLflow's log_input does it, or `datasets` of the API, which takes versions such as tickets@2.</p>
        )}
      </Card>
    </>
  );
}

/** Versions in the registry that were made from the run. */
function Registered({ run }: { run: TrackedRun }) {
  const below = useGet<Page<Edge>>(path`/lineage/run/${run.id}`, { direction: "down", depth: 2 });
  const versions = (below.data?.items ?? []).filter((e) => e.child_kind === "model_version").map((e) => e.child_ref);
  return (
    <Card title="In the registry">
      <Ready query={below} rows={2}>
        {() =>
          versions.length ? (
            <ul className="chips">
              {[...new Set(versions)].map((v) => (
                <li key={v}>
                  <A className="chip" href={hrefOf("model_version", v)!}>
                    {v}
                  </A>
                </li>
              ))}
            </ul>
          ) : (
            <p className="muted">Nothing was registered from this run.</p>
          )
        }
      </Ready>
    </Card>
  );
}

export function Models({ run }: { run: TrackedRun }) {
  const [search, patch] = useSearch();
  const logged = useGet<LoggedModel[]>(path`/runs/${run.id}/models`);
  const chosen = logged.data?.find((m) => m.id === search.model);
  return (
    <>
      <Registered run={run} />
      <Ready query={logged} rows={3}>
        {(models) =>
          models.length ? (
            <Card title="Logged models" flush>
              <Table
                label="Logged models"
                rows={models}
                keyOf={(m) => m.id}
                columns={[
                  { head: "Model", cell: (m) => m.name },
                  { head: "Here", cell: (m) => (m.role === "input" ? "was read" : "was made") },
                  { head: "Kind", cell: (m) => m.type || "–" },
                  { head: "Status", cell: (m) => <Badge value={m.status} /> },
                  { head: "Made", cell: (m) => <When at={m.created_at} /> },
                  { head: "Id", cell: (m) => m.id, mono: true },
                  {
                    head: "Files",
                    cell: (m) => (
                      <button type="button" className="button small" title={`Files of ${m.name}`} aria-pressed={search.model === m.id} onClick={() => patch({ model: search.model === m.id ? undefined : m.id, file: undefined }, { replace: true })}>
                        {search.model === m.id ? "Hide" : "Show"}
                      </button>
                    ),
                  },
                ]}
              />
            </Card>
          ) : (
            <Empty title="No logged models">
              <p className="muted">Models that the program logs (MLflow's log_model) or reads are listed here, with their files.</p>
            </Empty>
          )
        }
      </Ready>
      {chosen && <Files key={chosen.id} base={path`/logged-models/${chosen.id}/artifacts`} file={search.file ?? ""} onFile={(file) => patch({ file }, { replace: true })} empty="The files of this model have not arrived." />}
    </>
  );
}

export function Traces({ run }: { run: TrackedRun }) {
  const query = `metadata.mlflow.run:${run.id}`;
  const found = useGet<Page<TraceRow>>("/traces", { query, limit: 50 });
  const all = `/traces?${new URLSearchParams({ range: "all", query })}`;
  return (
    <Ready query={found} rows={4}>
      {(page) =>
        page.items.length ? (
          <Card
            title="Traces"
            flush
            actions={
              <A className="button small" href={all}>
                Open in the list of traces
              </A>
            }
          >
            <Table
              label="Traces"
              rows={page.items}
              keyOf={(t) => t.trace_id}
              columns={[
                { head: "Trace", cell: (t) => <A href={path`/traces/${t.trace_id}`}>{t.name}</A> },
                { head: "Status", cell: (t) => <Badge value={t.status} /> },
                { head: "Model", cell: (t) => t.model ?? "–" },
                { head: "Latency", cell: (t) => ms(t.duration_ms), num: true },
                { head: "Tokens", cell: (t) => count(t.input_tokens + t.output_tokens), num: true },
                { head: "Cost", cell: (t) => usd(t.cost_usd), num: true },
                { head: "Started", cell: (t) => <When at={t.start_ns / 1e6} /> },
              ]}
            />
          </Card>
        ) : (
          <Empty title="No traces of this run">
            <p className="muted">Traces that are recorded inside an MLflow run, and those that carry the run's id as metadata, are listed here.</p>
            <Code label="Snippet" text={`penstock.set_metadata(**{"mlflow.run": "${run.id}"})`} />
          </Empty>
        )
      }
    </Ready>
  );
}
