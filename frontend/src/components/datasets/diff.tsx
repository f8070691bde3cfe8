/** Two versions of a dataset row by row, by the key that says which rows are the same. */
import { path } from "../../api/client.ts";
import type { DatasetDetail, DatasetDifference, DatasetVersion, RowExample } from "../../api/types.ts";
import { fieldsOf, valueText } from "../../lib/datasets.ts";
import { full } from "../../lib/format.ts";
import { useSearch } from "../../lib/nav.tsx";
import { useGet } from "../../lib/query.ts";
import { Badge, Bars, Card } from "../bits.tsx";
import { Empty, Ready } from "../state.tsx";

const STEP = 20;
const TONES = { added: "good", removed: "bad", changed: "wait" } as const;

function Row({ row }: { row: RowExample }) {
  const fields = fieldsOf(row);
  return (
    <li className="row-diff">
      <div className="row">
        <Badge value={row.change} tone={TONES[row.change]} />
        <span className="mono ellipsis">{valueText(row.key)}</span>
      </div>
      <dl>
        {fields.slice(0, row.change === "changed" ? Math.max(1, fields.filter((f) => f.differs).length) : 8).map((f) => (
          <div key={f.name}>
            <dt>{f.name}</dt>
            {row.change === "changed" ? (
              <dd>
                <del>{valueText(f.before)}</del> <ins>{valueText(f.after)}</ins>
              </dd>
            ) : (
              <dd>{valueText(row.change === "added" ? f.after : f.before)}</dd>
            )}
          </div>
        ))}
      </dl>
    </li>
  );
}

function Found({ d, change, limit, more }: { d: DatasetDifference; change: string; limit: number; more: () => void }) {
  const total = change ? d[change as RowExample["change"]] : d.added + d.removed + d.changed;
  const columns = [d.columns_added.length && `added ${d.columns_added.join(", ")}`, d.columns_removed.length && `removed ${d.columns_removed.join(", ")}`, d.columns_retyped.length && `another type: ${d.columns_retyped.join(", ")}`].filter(Boolean);
  return (
    <>
      <div className="columns">
        <Card title="Rows">
          <Bars label="Rows" items={[["added", d.added], ["removed", d.removed], ["changed", d.changed], ["the same", d.unchanged]]} />
          {columns.length > 0 && <p className="muted">Columns: {columns.join("; ")}</p>}
        </Card>
        <Card title="Changed rows by column">
          {Object.keys(d.fields ?? {}).length ? <Bars label="Changed rows by column" items={Object.entries(d.fields).sort((a, b) => b[1] - a[1])} /> : <p className="muted">No row with the same key differs.</p>}
        </Card>
      </div>
      {d.examples.length > 0 && (
        <Card title={`${full(d.examples.length)} of ${full(total)} rows`}>
          <ul className="row-diffs">
            {d.examples.map((row, i) => (
              <Row key={i} row={row} />
            ))}
          </ul>
          {d.examples.length < total && limit < 1000 && (
            <button type="button" className="button spaced" onClick={more}>
              Show more
            </button>
          )}
        </Card>
      )}
    </>
  );
}

export function VersionDiff({ version, versions }: { version: DatasetDetail; versions: DatasetVersion[] }) {
  const [search, patch] = useSearch();
  const others = versions.filter((v) => v.number !== version.number);
  const from = others.find((v) => String(v.number) === search.from) ?? others.find((v) => v.number < version.number) ?? others[0];
  const limit = Math.min(1000, Number(search.shown) || STEP);
  const key = search.key ?? "";
  const change = search.change ?? "";
  const found = useGet<DatasetDifference>(path`/datasets/${version.dataset}/diff`, { from: from?.number, to: version.number, key, change, limit }, { enabled: !!from, keep: true });
  if (!from) return <Empty title="There is only one version" />;
  return (
    <>
      <div className="filters">
        <label className="row">
          From
          <select value={String(from.number)} onChange={(e) => patch({ from: e.target.value }, { replace: true })}>
            {others.map((v) => (
              <option key={v.number} value={v.number}>
                {`Version ${v.number}`}
              </option>
            ))}
          </select>
        </label>
        <span>to version {version.number}</span>
        <label className="row">
          Rows are the same by
          <select value={key} onChange={(e) => patch({ key: e.target.value }, { replace: true })}>
            <option value="">the versions’ own keys</option>
            {version.schema.map((c) => (
              <option key={c.name}>{c.name}</option>
            ))}
          </select>
        </label>
        <label className="row">
          Show
          <select value={change} onChange={(e) => patch({ change: e.target.value, shown: undefined }, { replace: true })}>
            <option value="">every change</option>
            <option>added</option>
            <option>removed</option>
            <option>changed</option>
          </select>
        </label>
      </div>
      <Ready query={found}>{(d) => <Found d={d} change={change} limit={limit} more={() => patch({ shown: String(Math.min(1000, limit * 3)) }, { replace: true })} />}</Ready>
    </>
  );
}
