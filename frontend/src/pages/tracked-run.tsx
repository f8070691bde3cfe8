import { useMemo, useState } from "react";
import { useParams } from "@tanstack/react-router";
import { api, path } from "../api/client.ts";
import type { Experiment, Page, TrackedRun } from "../api/types.ts";
import { Badge, Card, Dialog, Facts, Field, PageHead, Tabs, When } from "../components/bits.tsx";
import { Curves, CurveTools } from "../components/curves.tsx";
import { Ready } from "../components/state.tsx";
import { Files } from "../components/tracking/files.tsx";
import { useHistories } from "../components/tracking/histories.ts";
import { Inputs, Models, Overview, Traces } from "../components/tracking/runparts.tsx";
import { ms } from "../lib/format.ts";
import { A, useGo, useSearch } from "../lib/nav.tsx";
import { useAct, useGet } from "../lib/query.ts";
import { isResource } from "../lib/runs.ts";
import { codeOf, going, programOf, SILENT } from "../lib/tracking.ts";
import { between } from "../lib/time.ts";
import "../loop.css";

const PARENT = "mlflow.parentRunId";

function Head({ run }: { run: TrackedRun }) {
  const parent = run.tags[PARENT];
  const code = codeOf(run.tags);
  const training = run.tags["penstock.training_run"];
  const inside = `tags.\`${PARENT}\` = '${run.id}'`;
  const parts = useGet<Page<TrackedRun>>("/runs", { filter: inside, limit: 1 }, { staleTime: 10_000 });
  return (
    <Card>
      <Facts
        items={[
          ["Started", <When at={run.started_at} />],
          [going(run.status) ? "Goes on since" : "Took", ms(between(run.started_at, run.ended_at))],
          ["By", run.user],
          ["Program", programOf(run)],
          ["Commit", code.commit ? <span className="mono" title={code.commit}>{code.commit.slice(0, 10)}</span> : null],
          ["Data", run.datasets.length ? run.datasets.map((d) => d.version || d.name).join(", ") : null],
          ["Part of", parent ? <A href={path`/experiments/runs/${parent}`}>another run</A> : null],
          ["Parts", parts.data?.items.length ? <A href={path`/experiments/${run.experiment_id}` + `?q=${encodeURIComponent(inside)}`}>runs inside it</A> : null],
          ["Training run", training ? <A href={path`/training/${training}`}>{training}</A> : null],
          ["Run", <span className="mono">{run.id}</span>],
        ]}
      />
    </Card>
  );
}

function Rename({ run, open, onClose }: { run: TrackedRun; open: boolean; onClose: () => void }) {
  const [name, setName] = useState(run.name);
  const save = useAct(
    () => api.patch(path`/runs/${run.id}`, { name: name.trim() }),
    () => {
      onClose();
      return "Renamed";
    },
  );
  return (
    <Dialog open={open} onClose={onClose} title="Rename the run">
      <form
        onSubmit={(e) => {
          e.preventDefault();
          save.mutate(undefined);
        }}
      >
        <Field label="Name">{(id) => <input id={id} autoFocus value={name} maxLength={500} onChange={(e) => setName(e.target.value)} />}</Field>
        <div className="actions spaced">
          <button type="submit" className="button primary" disabled={!name.trim() || save.isPending}>
            Rename
          </button>
        </div>
      </form>
    </Dialog>
  );
}

function Actions({ run }: { run: TrackedRun }) {
  const go = useGo();
  const [renaming, setRenaming] = useState(false);
  const restore = useAct(() => api.post(path`/runs/${run.id}/restore`), "The run is back");
  const remove = useAct(
    () => api.del(path`/runs/${run.id}`),
    () => {
      go(path`/experiments/${run.experiment_id}`);
      return `${run.name} is deleted; it can be restored from the deleted ones`;
    },
  );
  if (run.state === "deleted")
    return (
      <button type="button" className="button primary" disabled={restore.isPending} onClick={() => restore.mutate(undefined)}>
        Restore
      </button>
    );
  return (
    <>
      <A className="button" href={path`/experiments/compare?ids=${run.id}`}>
        Compare
      </A>
      <button type="button" className="button" onClick={() => setRenaming(true)}>
        Rename
      </button>
      <button type="button" className="button danger" disabled={remove.isPending} onClick={() => remove.mutate(undefined)}>
        Delete
      </button>
      <Rename key={run.name} run={run} open={renaming} onClose={() => setRenaming(false)} />
    </>
  );
}

function Drawn({ run, show }: { run: TrackedRun; show: "learning" | "resources" }) {
  const one = useMemo(() => [run], [run]);
  const { series, sources, names } = useHistories(one);
  return (
    <Card title={show === "learning" ? "Metrics over steps" : "What the machine did"} actions={<CurveTools />}>
      <Ready query={series} rows={6}>
        {() => <Curves sources={sources} show={show} names={names} empty={going(run.status) ? "No metric has two values yet." : "This run measured nothing more than once; the values are in the overview."} />}
      </Ready>
    </Card>
  );
}

function Body({ run }: { run: TrackedRun }) {
  const [search, patch] = useSearch();
  const tab = search.tab ?? "overview";
  const machine = Object.keys(run.metrics).some(isResource);
  return (
    <>
      {run.tags[SILENT] && (
        <div className="note bad" role="alert">
          {run.tags[SILENT]}
        </div>
      )}
      <Head run={run} />
      <Tabs
        label="Run views"
        current={tab}
        hrefOf={(k) => path`/experiments/runs/${run.id}` + (k === "overview" ? "" : `?tab=${k}`)}
        items={[["overview", "Overview"], ["curves", "Curves"], ...(machine ? [["resources", "Machine"] as [string, string]] : []), ["inputs", "Code and data"], ["files", "Artifacts"], ["models", "Models"], ["traces", "Traces"]]}
      />
      {tab === "overview" && <Overview run={run} />}
      {tab === "curves" && <Drawn run={run} show="learning" />}
      {tab === "resources" && <Drawn run={run} show="resources" />}
      {tab === "inputs" && <Inputs run={run} />}
      {tab === "files" && <Files base={path`/runs/${run.id}/artifacts`} file={search.file ?? ""} onFile={(file) => patch({ file }, { replace: true })} empty="Files that the program logs (MLflow's log_artifact) are listed here as soon as they arrive." />}
      {tab === "models" && <Models run={run} />}
      {tab === "traces" && <Traces run={run} />}
    </>
  );
}

export default function TrackedRunPage() {
  const { id = "" } = useParams({ strict: false }) as { id?: string };
  const run = useGet<TrackedRun>(path`/runs/${id}`, undefined, { every: (d) => (going(d?.status) ? 2_000 : false) });
  const experiment = useGet<Experiment>(path`/experiments/${run.data?.experiment_id ?? ""}`, undefined, { enabled: !!run.data, staleTime: 60_000 });
  const crumbs: [string, string][] = [["Experiments", "/experiments"]];
  if (experiment.data) crumbs.push([experiment.data.name, path`/experiments/${experiment.data.id}`]);
  return (
    <div className="page">
      <PageHead
        title={run.data?.name ?? "Run"}
        crumbs={crumbs}
        note={
          run.data && (
            <>
              <Badge value={run.data.status} />
              {run.data.state === "deleted" && <Badge value="deleted" tone="bad" />}
            </>
          )
        }
      >
        {run.data && <Actions run={run.data} />}
      </PageHead>
      <Ready query={run}>{(r) => <Body run={r} />}</Ready>
    </div>
  );
}
