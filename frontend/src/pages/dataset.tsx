import { useContext, useEffect, useMemo, useRef } from "react";
import { useParams } from "@tanstack/react-router";
import { useInfiniteQuery } from "@tanstack/react-query";
import { useVirtualizer } from "@tanstack/react-virtual";
import { api, path, type ApiError } from "../api/client.ts";
import type { DatasetDetail, DatasetRow, DatasetVersion, LeftOut, Page, StepReport } from "../api/types.ts";
import { Bars, Card, Code, Dialog, Facts, PageHead, Table, Tabs, When } from "../components/bits.tsx";
import { LineageGraph } from "../components/lineage.tsx";
import { Markdown } from "../components/markdown.tsx";
import { Checks } from "../components/datasets/checks.tsx";
import { Clean } from "../components/datasets/clean.tsx";
import { VersionDiff } from "../components/datasets/diff.tsx";
import { PullForm } from "../components/datasets/pull.tsx";
import { UploadForm } from "../components/datasets/upload.tsx";
import { VersionProfile } from "../components/profile.tsx";
import { Empty, Failure, Loading, Ready } from "../components/state.tsx";
import { bytes, full } from "../lib/format.ts";
import { A, ProjectContext, useSearch } from "../lib/nav.tsx";
import { useGet } from "../lib/query.ts";

function cellText(v: unknown): string {
  if (v == null) return "";
  const text = typeof v === "string" ? v : JSON.stringify(v);
  return text.length > 300 ? `${text.slice(0, 300)}…` : text;
}

function Rows({ name, version }: { name: string; version: DatasetVersion }) {
  const project = useContext(ProjectContext);
  const [search, patch] = useSearch();
  const split = search.split ?? "";
  const url = path`/datasets/${name}/versions/${version.number}/rows`;
  const rows = useInfiniteQuery<Page<DatasetRow>, ApiError, { pages: Page<DatasetRow>[] }, unknown[], string | null>({
    queryKey: [project, url, split],
    initialPageParam: null,
    queryFn: ({ pageParam, signal }) => api.get(url, { split, cursor: pageParam, limit: 100 }, signal),
    getNextPageParam: (last) => last.next,
    staleTime: Number.POSITIVE_INFINITY,
  });
  const items = useMemo(() => rows.data?.pages.flatMap((p) => p.items) ?? [], [rows.data]);
  const columns = useMemo(() => [...new Set(items.slice(0, 50).flatMap((r) => Object.keys(r.data)))].slice(0, 12), [items]);
  const box = useRef<HTMLDivElement>(null);
  const v = useVirtualizer({ count: items.length, getScrollElement: () => box.current, estimateSize: () => 34, overscan: 12 });
  const shown = v.getVirtualItems();
  const last = shown[shown.length - 1]?.index ?? 0;
  const { hasNextPage, isFetchingNextPage, fetchNextPage } = rows;
  useEffect(() => {
    if (items.length && last >= items.length - 20 && hasNextPage && !isFetchingNextPage) void fetchNextPage();
  }, [last, items.length, hasNextPage, isFetchingNextPage, fetchNextPage]);
  const at = search.row ? Number(search.row) : -1;
  const grid = { gridTemplateColumns: `64px repeat(${columns.length}, minmax(160px, 1fr))`, minWidth: 64 + columns.length * 160 };
  return (
    <Card
      title={`${full(split ? version.splits[split] : version.rows)} rows`}
      flush
      actions={
        <select aria-label="Split" value={split} onChange={(e) => patch({ split: e.target.value })}>
          <option value="">All splits</option>
          {Object.keys(version.splits).map((s) => (
            <option key={s}>{s}</option>
          ))}
        </select>
      }
    >
      {rows.error ? (
        <Failure error={rows.error} again={() => void rows.refetch()} />
      ) : rows.isPending ? (
        <Loading rows={12} />
      ) : items.length === 0 ? (
        <Empty title="No rows here" />
      ) : (
        <div className="vtable grid" ref={box} role="table" aria-label="Rows" aria-rowcount={items.length + 1} tabIndex={0}>
          <div className="vhead" role="rowgroup">
            <div className="vrow" role="row" style={grid}>
              <div role="columnheader">#</div>
              {columns.map((c) => (
                <div key={c} role="columnheader">
                  {c}
                </div>
              ))}
            </div>
          </div>
          <div role="rowgroup" style={{ height: v.getTotalSize(), position: "relative" }}>
            {shown.map((item) => (
              <div key={item.index} role="row" aria-rowindex={item.index + 2} className="vrow" style={{ ...grid, transform: `translateY(${item.start}px)` }} onClick={() => patch({ row: String(item.index) }, { replace: true })}>
                <div role="cell">
                  <button type="button" className="link" aria-label={`Open row ${item.index + 1}`} onClick={() => patch({ row: String(item.index) }, { replace: true })}>
                    {item.index + 1}
                  </button>
                </div>
                {columns.map((c) => (
                  <div key={c} role="cell" className="ellipsis">
                    {cellText(items[item.index]!.data[c])}
                  </div>
                ))}
              </div>
            ))}
          </div>
        </div>
      )}
      <Dialog open={at >= 0 && !!items[at]} onClose={() => patch({ row: undefined }, { replace: true })} title={`Row ${at + 1}`} wide>
        <Code text={JSON.stringify(items[at]?.data ?? null, null, 2)} label="Row as JSON" />
      </Dialog>
    </Card>
  );
}

function Overview({ version }: { version: DatasetDetail }) {
  return (
    <>
      <div className="columns">
        <Card title="Version">
          <Facts
            items={[
              ["Reference", <span className="mono">{version.ref}</span>],
              ["Rows", full(version.rows)],
              ["Removed by the recipe", version.removed ? full(version.removed) : null],
              ["Unreadable", version.quarantined ? full(version.quarantined) : null],
              ["Tags", version.tags?.length ? version.tags.join(", ") : null],
              ["Source", `${version.source.name} (${version.source.format}, ${bytes(version.source.size)})`],
              ["Content", <span className="mono" title={version.hash}>{version.hash.slice(0, 20)}</span>],
              ["By", version.created_by],
              ["Registered", <When at={version.created_at} />],
            ]}
          />
        </Card>
        <Card title="Splits">
          {Object.keys(version.splits).length ? <Bars label="Rows per split" items={Object.entries(version.splits)} /> : <p className="muted">This version is not split.</p>}
        </Card>
      </div>
      <Card title="Columns" flush>
        <Table label="Columns" rows={version.schema} keyOf={(c) => c.name} columns={[{ head: "Name", cell: (c) => c.name, mono: true }, { head: "Type", cell: (c) => c.type }]} />
      </Card>
      {version.card && (
        <Card title="Card">
          <Markdown source={version.card} />
        </Card>
      )}
    </>
  );
}

function Steps({ version }: { version: DatasetDetail }) {
  const left = useGet<Page<LeftOut>>(path`/datasets/${version.dataset}/versions/${version.number}/left-out`, { limit: 50 });
  return (
    <>
      {version.recipe_report.length ? (
        <Card title="What the recipe did" flush>
          <Table<StepReport>
            label="Steps"
            rows={version.recipe_report}
            keyOf={(s, i) => `${i}${s.step}`}
            columns={[
              { head: "Step", cell: (s) => s.step.replace(/_/g, " ") },
              { head: "Rows in", cell: (s) => full(s.rows_in), num: true },
              { head: "Rows out", cell: (s) => full(s.rows_out), num: true },
              { head: "Removed", cell: (s) => full(s.rows_in - s.rows_out), num: true },
              { head: "Changed", cell: (s) => full(s.changed), num: true },
              { head: "Counts", cell: (s) => Object.entries(s.counts).map(([k, n]) => `${k.replace(/_/g, " ")} ${full(n)}`).join(" · ") },
            ]}
          />
        </Card>
      ) : (
        <Card title="What the recipe did">
          <p className="muted">This version was registered as it came, without a recipe.</p>
        </Card>
      )}
      <Ready query={left} rows={4}>
        {(page) =>
          page.items.length > 0 && (
            <Card title="Left out" flush>
              <Table<LeftOut>
                label="Rows left out"
                rows={page.items}
                keyOf={(x, i) => `${x.line}-${x.step}-${i}`}
                columns={[
                  { head: "Line", cell: (x) => x.line, num: true, width: "70px" },
                  { head: "Step", cell: (x) => x.step.replace(/_/g, " ") },
                  { head: "Why", cell: (x) => `${x.reason}${x.kept_line != null ? ` (kept: line ${x.kept_line})` : ""}` },
                  ...(page.items.some((x) => x.excerpt) ? [{ head: "Row", cell: (x: LeftOut) => <span className="muted">{x.excerpt}</span> }] : []),
                ]}
              />
            </Card>
          )
        }
      </Ready>
    </>
  );
}

function Version({ name, number, versions }: { name: string; number: number; versions: DatasetVersion[] }) {
  const [search] = useSearch();
  const tab = search.tab ?? "overview";
  const version = useGet<DatasetDetail>(path`/datasets/${name}/versions/${number}`, undefined, { staleTime: 60_000 });
  const hrefOf = (key: string) => `${path`/datasets/${name}`}?${new URLSearchParams({ version: String(number), ...(key === "overview" ? {} : { tab: key }) })}`;
  return (
    <>
      <Tabs
        label="Version views"
        current={tab}
        hrefOf={hrefOf}
        items={[
          ["overview", "Overview"],
          ["profile", "Profile"],
          ["rows", "Rows"],
          ["checks", "Checks"],
          ["diff", "Changes"],
          ["recipe", "Recipe report"],
          ["lineage", "Lineage"],
        ]}
      />
      <Ready query={version}>
        {(v) => (
          <>
            <Clean version={v} />
            {tab === "overview" && <Overview version={v} />}
            {tab === "profile" && <VersionProfile version={v} versions={versions} />}
            {tab === "rows" && <Rows key={v.number} name={name} version={v} />}
            {tab === "checks" && <Checks version={v} />}
            {tab === "diff" && <VersionDiff version={v} versions={versions} />}
            {tab === "recipe" && <Steps version={v} />}
            {tab === "lineage" && (
              <Card title="Lineage" flush>
                <LineageGraph kind="dataset_version" reference={`${name}@${number}`} />
              </Card>
            )}
          </>
        )}
      </Ready>
    </>
  );
}

export default function DatasetPage() {
  const { name = "" } = useParams({ strict: false }) as { name?: string };
  const [search, patch] = useSearch();
  const versions = useGet<Page<DatasetVersion>>(path`/datasets/${name}`, { limit: 200 });
  const list = versions.data?.items ?? [];
  const newest = Math.max(0, ...list.map((v) => v.number));
  const number = Number(search.version ?? newest);
  return (
    <div className="page">
      <PageHead title={name} crumbs={[["Datasets", "/datasets"]]} note={<span className="muted">{list.find((v) => v.number === number)?.description}</span>}>
        {list.length > 0 && (
          <select aria-label="Version" value={String(number)} onChange={(e) => patch({ version: e.target.value, row: undefined, split: undefined })}>
            {list.map((v) => (
              <option key={v.number} value={v.number}>
                {`Version ${v.number} · ${full(v.rows)} rows`}
              </option>
            ))}
          </select>
        )}
        {list.length > 0 && (
          <button type="button" className="button" onClick={() => patch({ clean: "1" })}>
            Clean
          </button>
        )}
        <button type="button" className="button" onClick={() => patch({ pull: "1" })}>
          Pull rows
        </button>
        <button type="button" className="button" onClick={() => patch({ upload: "1" })}>
          Upload a file
        </button>
        {list.length > 0 && (
          <A className="button primary" href={`/evaluations?new=1&dataset=${encodeURIComponent(`${name}@${number}`)}`}>
            Evaluate
          </A>
        )}
      </PageHead>
      <Dialog open={search.upload === "1"} onClose={() => patch({ upload: undefined })} title={`Upload a file into ${name}`} wide>
        <UploadForm name={name} onDone={(_, version) => patch({ upload: undefined, tab: undefined, version: version ? String(version) : undefined })} />
      </Dialog>
      <Dialog open={search.pull === "1"} onClose={() => patch({ pull: undefined })} title={`Pull rows into ${name}`}>
        <PullForm name={name} onDone={() => patch({ pull: undefined })} />
      </Dialog>
      <Ready query={versions}>{() => (list.length ? <Version name={name} number={number} versions={list} /> : <Empty title="This dataset has no versions yet" />)}</Ready>
    </div>
  );
}
