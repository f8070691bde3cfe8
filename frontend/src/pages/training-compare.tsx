import { useContext, useMemo } from "react";
import { useQueries } from "@tanstack/react-query";
import { api, path, type ApiError } from "../api/client.ts";
import type { MetricPoint, Page, TrainingRun } from "../api/types.ts";
import { Badge, Card, PageHead, Tabs } from "../components/bits.tsx";
import { Beside } from "../components/beside.tsx";
import { colorOf, Curves, CurveTools } from "../components/curves.tsx";
import { Coordinates } from "../components/parallel.tsx";
import { Empty, Failure, Loading } from "../components/state.tsx";
import { ms, short } from "../lib/format.ts";
import { A, ProjectContext, useSearch } from "../lib/nav.tsx";
import { useGet } from "../lib/query.ts";
import { beside, busy, type Compared, flat, isResource, labelsOf, type Line, outcome, varying } from "../lib/runs.ts";
import { between } from "../lib/time.ts";
import "../loop.css";

interface Loaded {
  run: TrainingRun;
  label: string;
  points: MetricPoint[];
}

/** Every run that is asked for, with its points; those that cannot be read are told apart. */
function useRuns(ids: string[]): { loaded: Loaded[]; waiting: boolean; errors: [string, ApiError][] } {
  const project = useContext(ProjectContext);
  const runs = useQueries({
    queries: ids.map((id) => ({ queryKey: [project, path`/training/runs/${id}`, {}], queryFn: () => api.get<TrainingRun>(path`/training/runs/${id}`), refetchInterval: (q: { state: { data?: TrainingRun } }) => (busy(q.state.data?.state) ? 3_000 : (false as const)) })),
  });
  const points = useQueries({
    queries: ids.map((id, i) => ({ queryKey: [project, path`/training/runs/${id}/metrics`, {}], queryFn: () => api.get<Page<MetricPoint>>(path`/training/runs/${id}/metrics`), refetchInterval: busy(runs[i]?.data?.state) ? 3_000 : (false as const) })),
  });
  const stamp = [...runs, ...points].map((q) => q.dataUpdatedAt).join();
  const loaded = useMemo(() => {
    const read = runs.flatMap((r, i) => (r.data ? [{ run: r.data, points: points[i]?.data?.items ?? [] }] : []));
    const labels = labelsOf(read.map((l) => l.run));
    return read.map((l, i) => ({ ...l, label: labels[i]! }));
  }, [stamp]);
  return { loaded, waiting: runs.some((r) => r.isPending), errors: runs.flatMap((r, i): [string, ApiError][] => (r.error ? [[ids[i]!, r.error as ApiError]] : [])) };
}

function Runs({ loaded, ids, onIds }: { loaded: Loaded[]; ids: string[]; onIds: (ids: string[]) => void }) {
  const all = useGet<Page<TrainingRun>>("/training/runs", { limit: 100 }, { staleTime: 10_000 });
  const rest = (all.data?.items ?? []).filter((r) => !ids.includes(r.id));
  return (
    <div className="filters">
      {loaded.map(({ run, label }, i) => (
        <span key={run.id} className="chip">
          <i className="swatch" style={{ background: `var(${colorOf(i)})` }} />
          <A href={path`/training/${run.id}`}>{label}</A>
          <Badge value={run.state} />
          <button type="button" className="link" aria-label={`Take ${label} out`} onClick={() => onIds(ids.filter((id) => id !== run.id))}>
            ×
          </button>
        </span>
      ))}
      <select aria-label="Add a run" value="" disabled={!rest.length} onChange={(e) => e.target.value && onIds([...ids, e.target.value])}>
        <option value="">Add a run…</option>
        {rest.map((r) => (
          <option key={r.id} value={r.id}>{`${r.name} · ${r.method} · ${short(r.id, 6)}`}</option>
        ))}
      </select>
    </div>
  );
}

function Given({ loaded }: { loaded: Loaded[] }) {
  const lines = useMemo(
    () =>
      loaded.map(({ run, label, points }): Line => {
        const { name: _name, note: _note, ...recipe } = run.recipe;
        return { id: run.id, label, values: { ...flat(recipe), ...outcome(run, points) } };
      }),
    [loaded],
  );
  const names = useMemo(() => varying(lines).filter((n) => !isResource(n)).slice(0, 9), [lines]);
  return <Coordinates lines={lines} names={names} />;
}

function factsOf({ run }: Loaded): Record<string, string | number> {
  return flat({ state: run.state, method: run.method, base: run.base, dataset: run.dataset, model: run.model, took: ms(between(run.started_at, run.ended_at)), weights: run.weights_hash ? run.weights_hash.slice(0, 16) : null, by: run.author, note: run.note });
}

export default function TrainingCompare() {
  const [search, patch] = useSearch();
  const ids = (search.ids ?? "").split(",").filter(Boolean);
  const { loaded, waiting, errors } = useRuns(ids);
  const setIds = (next: string[]) => patch({ ids: next.join(",") });
  const tab = search.tab ?? "curves";
  const all = search.all === "1";
  const sources = useMemo(() => loaded.map(({ run, label, points }) => ({ id: run.id, label, points })), [loaded]);
  const tables: [string, Compared[]][] = [
    ["Run", beside(loaded.map(factsOf))],
    ["Recipe", beside(loaded.map(({ run }) => flat(run.recipe)))],
    ["Figures", beside(loaded.map((l) => outcome(l.run, l.points)))],
    ["Environment", beside(loaded.map(({ run }) => flat(run.environment ?? {})))],
  ];
  return (
    <div className="page">
      <PageHead title="Compare training runs" crumbs={[["Training", "/training"]]} />
      <Runs loaded={loaded} ids={ids} onIds={setIds} />
      {errors.map(([id, e]) => (
        <Failure key={id} error={e} />
      ))}
      {waiting ? (
        <Loading />
      ) : !loaded.length ? (
        !errors.length && <Empty title="Choose the runs to compare" />
      ) : (
        <>
          <Tabs
            label="Comparison views"
            current={tab}
            hrefOf={(k) => `/training/compare?${new URLSearchParams({ ids: ids.join(","), ...(k === "curves" ? {} : { tab: k }) })}`}
            items={[
              ["curves", "Curves"],
              ["machine", "Machine"],
              ["table", "Side by side"],
              ["coordinates", "Parallel coordinates"],
            ]}
          />
          {(tab === "curves" || tab === "machine") && (
            <Card title={tab === "curves" ? "Learning" : "What the machine did"} actions={<CurveTools />}>
              <Curves sources={sources} show={tab === "curves" ? "learning" : "resources"} empty="These runs recorded none." />
            </Card>
          )}
          {tab === "coordinates" && <Given loaded={loaded} />}
          {tab === "table" && (
            <>
              <label className="row check">
                <input type="checkbox" checked={all} onChange={(e) => patch({ all: e.target.checked ? "1" : undefined }, { replace: true })} />
                Also what is the same
              </label>
              {tables.map(([label, rows]) => (
                <Card key={label} flush>
                  <Beside label={label} columns={loaded.map((l) => ({ id: l.run.id, label: l.label }))} rows={rows} all={all} />
                </Card>
              ))}
            </>
          )}
        </>
      )}
    </div>
  );
}
