import { useContext, useMemo } from "react";
import { useQueries } from "@tanstack/react-query";
import { api, path, type ApiError } from "../api/client.ts";
import type { Experiment, Page, TrackedRun } from "../api/types.ts";
import { Badge, Card, PageHead, Tabs } from "../components/bits.tsx";
import { Beside } from "../components/beside.tsx";
import { colorOf, Curves, CurveTools } from "../components/curves.tsx";
import { Coordinates } from "../components/parallel.tsx";
import { Empty, Failure, Loading, Ready } from "../components/state.tsx";
import { MOST, namesOf, useHistories } from "../components/tracking/histories.ts";
import { figure, ms, short } from "../lib/format.ts";
import { A, ProjectContext, stringifySearch, useSearch } from "../lib/nav.tsx";
import { useGet } from "../lib/query.ts";
import { beside, type Compared, varying } from "../lib/runs.ts";
import { axisOf, codeOf, going, kindOf, linesOf, nameOf, ownTags } from "../lib/tracking.ts";
import { between } from "../lib/time.ts";
import "../loop.css";

const MOST_AXES = 10;
const given = <T,>(pairs: [string, T | undefined | null | ""][]) => Object.fromEntries(pairs.filter(([, v]) => v !== undefined && v !== null && v !== "")) as Record<string, T>;

function useRuns(ids: string[]): { runs: TrackedRun[]; waiting: boolean; errors: [string, ApiError][] } {
  const project = useContext(ProjectContext);
  const found = useQueries({
    queries: ids.map((id) => ({ queryKey: [project, path`/runs/${id}`, {}], queryFn: () => api.get<TrackedRun>(path`/runs/${id}`), refetchInterval: (q: { state: { data?: TrackedRun } }) => (going(q.state.data?.status) ? 3_000 : (false as const)) })),
  });
  const stamp = found.map((q) => q.dataUpdatedAt).join();
  const runs = useMemo(() => found.flatMap((q) => (q.data ? [q.data] : [])), [stamp]);
  return { runs, waiting: found.some((q) => q.isPending), errors: found.flatMap((q, i): [string, ApiError][] => (q.error ? [[ids[i]!, q.error as ApiError]] : [])) };
}

function Chosen({ runs, labels, onIds }: { runs: TrackedRun[]; labels: string[]; onIds: (ids: string[]) => void }) {
  const ids = runs.map((r) => r.id);
  const experiments = [...new Set(runs.map((r) => r.experiment_id))];
  const near = useGet<Page<TrackedRun>>(`/runs?${new URLSearchParams(experiments.map((e) => ["experiment", e]))}`, { limit: 100 }, { enabled: experiments.length > 0, staleTime: 10_000 });
  const rest = (near.data?.items ?? []).filter((r) => !ids.includes(r.id));
  return (
    <div className="filters">
      {runs.map((run, i) => (
        <span key={run.id} className="chip">
          <i className="swatch" style={{ background: `var(${colorOf(i)})` }} />
          <A href={path`/experiments/runs/${run.id}`}>{labels[i]}</A>
          <Badge value={run.status} />
          <button type="button" className="link" aria-label={`Take ${labels[i]} out`} onClick={() => onIds(ids.filter((id) => id !== run.id))}>
            ×
          </button>
        </span>
      ))}
      <select aria-label="Add a run" value="" disabled={!rest.length || ids.length >= MOST} onChange={(e) => e.target.value && onIds([...ids, e.target.value])}>
        <option value="">Add a run…</option>
        {rest.map((r) => (
          <option key={r.id} value={r.id}>{`${r.name} · ${r.status} · ${short(r.id, 6)}`}</option>
        ))}
      </select>
    </div>
  );
}

function tablesOf(runs: TrackedRun[]): [string, Compared[]][] {
  const facts = (r: TrackedRun) => {
    const code = codeOf(r.tags);
    return given<string>([["status", r.status], ["took", r.ended_at ? ms(between(r.started_at, r.ended_at)) : ""], ["by", r.user], ["program", code.program], ["commit", code.commit], ["branch", code.branch], ["note", r.note]]);
  };
  const data = (r: TrackedRun) => Object.fromEntries(r.datasets.map((d) => [[d.name, d.tags["mlflow.data.context"]].filter(Boolean).join(" · "), d.version || d.digest || "–"]));
  const metrics = (r: TrackedRun) => Object.fromEntries(Object.values(r.metrics).map((m): [string, string | number] => [m.key, m.value ?? m.text ?? "–"]));
  return [
    ["Parameters", beside(runs.map((r) => Object.fromEntries(Object.entries(r.params).map(([k, v]) => [k, v]))))],
    ["Metrics", beside(runs.map(metrics))],
    ["Run and code", beside(runs.map(facts))],
    ["Data", beside(runs.map(data))],
    ["Tags", beside(runs.map((r) => Object.fromEntries(ownTags(r.tags))))],
  ];
}

function Tables({ runs, labels }: { runs: TrackedRun[]; labels: string[] }) {
  const [search, patch] = useSearch();
  const all = search.all !== "0";
  const columns = runs.map((r, i) => ({ id: r.id, label: labels[i]! }));
  return (
    <>
      <label className="row check">
        <input type="checkbox" checked={!all} onChange={(e) => patch({ all: e.target.checked ? "0" : undefined }, { replace: true })} />
        Only what differs
      </label>
      {tablesOf(runs).map(([label, rows]) => (
        <Card key={label} flush>
          <Beside label={label} columns={columns} rows={rows} all={all} name={(n) => n} write={() => figure} />
        </Card>
      ))}
    </>
  );
}

function Given({ runs, labels }: { runs: TrackedRun[]; labels: string[] }) {
  const { lines, names } = useMemo(() => {
    const columns = [...new Set(runs.flatMap((r) => [...Object.keys(r.params).map((k) => `p:${k}`), ...Object.keys(r.metrics).map((k) => `m:${k}`)]))];
    const metrics = new Set(columns.filter((c) => kindOf(c) === "m").map(nameOf));
    const drawn = linesOf(runs, labels, columns);
    const differ = new Set(varying(drawn));
    return { lines: drawn, names: columns.map((c) => axisOf(c, metrics)).filter((n) => differ.has(n)).slice(0, MOST_AXES) };
  }, [runs, labels.join()]);
  return <Coordinates lines={lines} names={names} />;
}

function Drawn({ runs }: { runs: TrackedRun[] }) {
  const { series, sources, names } = useHistories(runs);
  return (
    <Card title="Curves" actions={<CurveTools />}>
      <Ready query={series} rows={6}>
        {() =>
          names.length ? (
            <>
              <Curves sources={sources} show="learning" names={names} empty="" />
              <Curves sources={sources} show="resources" names={names} empty="" />
            </>
          ) : (
            <p className="muted">These runs measured nothing more than once; their values are side by side.</p>
          )
        }
      </Ready>
    </Card>
  );
}

export default function TrackedCompare() {
  const [search, patch] = useSearch();
  const ids = (search.ids ?? "").split(",").filter(Boolean).slice(0, MOST);
  const { runs, waiting, errors } = useRuns(ids);
  const labels = useMemo(() => namesOf(runs), [runs]);
  const tab = search.tab ?? "table";
  const all = [...new Set(runs.map((r) => r.experiment_id))];
  const only = all.length === 1 ? all[0]! : "";
  const experiment = useGet<Experiment>(path`/experiments/${only}`, undefined, { enabled: !!only, staleTime: 60_000 });
  return (
    <div className="page">
      <PageHead title="Compare runs" crumbs={[["Experiments", "/experiments"], ...(experiment.data ? [[experiment.data.name, path`/experiments/${only}`] as [string, string]] : [])]} />
      {errors.map(([id, e]) => (
        <Failure key={id} error={e} />
      ))}
      {waiting ? (
        <Loading />
      ) : !runs.length ? (
        !errors.length && (
          <Empty title="Choose the runs to compare">
            <p>
              <A className="button" href="/experiments">
                Go to the experiments
              </A>
            </p>
          </Empty>
        )
      ) : (
        <>
          <Chosen runs={runs} labels={labels} onIds={(next) => patch({ ids: next.join(",") })} />
          <Tabs
            label="Comparison views"
            current={tab}
            hrefOf={(k) => `/experiments/compare${stringifySearch({ ids: ids.join(","), tab: k === "table" ? undefined : k })}`}
            items={[
              ["table", "Side by side"],
              ["curves", "Curves"],
              ["coordinates", "Parallel coordinates"],
            ]}
          />
          {tab === "table" && <Tables runs={runs} labels={labels} />}
          {tab === "curves" && <Drawn runs={runs} />}
          {tab === "coordinates" && <Given runs={runs} labels={labels} />}
        </>
      )}
    </div>
  );
}
