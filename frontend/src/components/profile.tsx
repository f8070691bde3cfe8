/** A dataset version's profile: what is in it, as numbers and small plots. */
import { path } from "../api/client.ts";
import type { ColumnProfile, DatasetDetail, DatasetProfile, DatasetVersion } from "../api/types.ts";
import { moved, spreadOf } from "../lib/datasets.ts";
import { figure, full } from "../lib/format.ts";
import { useSearch } from "../lib/nav.tsx";
import { useGet } from "../lib/query.ts";
import { Bars, Card, Facts, Table } from "./bits.tsx";
import { Ready } from "./state.tsx";

const sorted = (counts: Record<string, number>): [string, number][] => Object.entries(counts).sort((a, b) => b[1] - a[1]);

/** Smallest, 5 %, median, 95 % and largest value on one line: a box plot without a legend to learn. */
function Spread({ name, s }: { name: string; s: Record<string, number> }) {
  const { low, high, from, to, middle } = spreadOf(s);
  return (
    <figure className="spread">
      <figcaption>
        <span>{name}</span>
        <span className="muted">
          median {figure(s.median ?? low)}, mean {figure(s.mean)}
        </span>
      </figcaption>
      <svg className="interval" role="img" aria-label={`${name}: smallest ${figure(low)}, median ${figure(s.median ?? low)}, largest ${figure(high)}`}>
        <line className="rail" x1="2%" x2="98%" y1="50%" y2="50%" />
        <line className="span" x1={`${from}%`} x2={`${to}%`} y1="50%" y2="50%" />
        <circle cx={`${middle}%`} cy="50%" r="4" />
      </svg>
      <div className="spread-ends muted">
        <span>{figure(low)}</span>
        <span>{figure(high)}</span>
      </div>
    </figure>
  );
}

function Column({ column, rows, labels, balance }: { column: ColumnProfile; rows: number; labels: Record<string, number> | undefined; balance: { entropy: number; largest_to_smallest: number } | undefined }) {
  const values: [string, number][] = labels ? sorted(labels) : column.top.map((t) => [t.value, t.count]);
  return (
    <Card
      title={
        <>
          {column.name} <span className="muted">{column.type}</span>
        </>
      }
    >
      <Facts
        items={[
          ["Missing", column.missing ? `${full(column.missing)} of ${full(rows)}` : "none"],
          ["Distinct", `${full(column.distinct)}${column.distinct_capped ? " or more" : ""}`],
          ["Outliers", column.outliers ? full(column.outliers) : null],
          ["Evenness", balance ? `${figure(balance.entropy)} of 1, the largest ${figure(balance.largest_to_smallest)} × the smallest` : null],
          ["Note", column.near_constant ? "nearly constant" : null],
        ]}
      />
      {column.numbers && <Spread name="Values" s={column.numbers} />}
      {column.characters && <Spread name="Characters" s={column.characters} />}
      {column.words && <Spread name="Words" s={column.words} />}
      {column.tokens && <Spread name="Tokens" s={column.tokens} />}
      {values.length > 0 && <Bars label={`Most frequent values of ${column.name}`} items={values} max={8} />}
    </Card>
  );
}

/** Missing values of every column, so that gaps are seen at once. */
function Gaps({ profile }: { profile: DatasetProfile }) {
  const gaps = profile.columns.filter((c) => c.missing > 0).map((c): [string, number] => [c.name, c.missing]);
  if (!gaps.length) return null;
  return (
    <Card title="Missing values">
      <Bars label="Missing values by column" items={gaps.sort((a, b) => b[1] - a[1])} />
    </Card>
  );
}

function Topics({ topics }: { topics: { rows: number; share: number; terms: string[] }[] }) {
  return (
    <Card title="Topics">
      <Bars label="Topics" items={topics.map((t) => [t.terms.slice(0, 5).join(", "), t.rows])} />
    </Card>
  );
}

/** The figures that cleaning moves, beside those of another version. */
function BeforeAfter({ before, after, from, to }: { before: DatasetProfile; after: DatasetProfile; from: number; to: number }) {
  return (
    <Card title={`Version ${from} and version ${to}`} flush>
      <Table
        label="Before and after"
        rows={moved(before, after)}
        keyOf={(m) => m.name}
        columns={[
          { head: "Figure", cell: (m) => m.name },
          { head: `Version ${from}`, cell: (m) => figure(m.before), num: true },
          { head: `Version ${to}`, cell: (m) => figure(m.after), num: true },
          {
            head: "Change",
            num: true,
            cell: (m) => {
              const by = m.after - m.before;
              const tone = by === 0 || !m.bad ? "" : by > 0 ? "bad-ink" : "good-ink";
              return <span className={tone}>{by === 0 ? "–" : `${by > 0 ? "+" : ""}${figure(by)}`}</span>;
            },
          },
          { head: "Drawn", cell: (m) => <Two before={m.before} after={m.after} name={m.name} /> },
        ]}
      />
    </Card>
  );
}

function Two({ before, after, name }: { before: number; after: number; name: string }) {
  const top = Math.max(before, after) || 1;
  return (
    <svg className="two" viewBox="0 0 120 16" preserveAspectRatio="none" role="img" aria-label={`${name}: ${figure(before)} before, ${figure(after)} after`}>
      <rect className="old" x="0" y="1" height="6" width={(before / top) * 120} />
      <rect x="0" y="9" height="6" width={(after / top) * 120} />
    </svg>
  );
}

/** A version's profile, and another version's beside it when the address asks for one. */
export function VersionProfile({ version, versions }: { version: DatasetDetail; versions: DatasetVersion[] }) {
  const [search, patch] = useSearch();
  const others = versions.filter((v) => v.number !== version.number);
  const from = others.find((v) => String(v.number) === search.beside);
  const other = useGet<DatasetDetail>(path`/datasets/${version.dataset}/versions/${from?.number ?? 0}`, undefined, { enabled: !!from, staleTime: 60_000 });
  return (
    <>
      {others.length > 0 && (
        <div className="filters">
          <label className="row">
            Beside
            <select value={search.beside ?? ""} onChange={(e) => patch({ beside: e.target.value }, { replace: true })}>
              <option value="">no other version</option>
              {others.map((v) => (
                <option key={v.number} value={v.number}>
                  {`version ${v.number}`}
                </option>
              ))}
            </select>
          </label>
        </div>
      )}
      {from && <Ready query={other}>{(o) => <BeforeAfter before={o.profile} after={version.profile} from={o.number} to={version.number} />}</Ready>}
      <Profile profile={version.profile} />
    </>
  );
}

function Profile({ profile }: { profile: DatasetProfile }) {
  const { text } = profile;
  return (
    <>
      <Card title="All rows">
        <Facts
          items={[
            ["Rows", full(profile.rows)],
            ["Exact duplicates", full(profile.exact_duplicates)],
            ["Near duplicates", text && full(text.near_duplicates)],
            ["Rows with personal data", text && full(text.rows_with_personal_data)],
            ["Rows with toxic words", text?.rows_with_toxic_words != null ? full(text.rows_with_toxic_words) : null],
            ["Toxic words per 1,000", text?.toxic_words_per_1000 != null ? figure(text.toxic_words_per_1000) : null],
            ["Looked at for text", text && full(text.rows)],
          ]}
        />
      </Card>
      <div className="profile-grid">
        {text && Object.keys(text.languages).length > 0 && (
          <Card title="Languages">
            <Bars label="Languages" items={sorted(text.languages)} />
          </Card>
        )}
        {text && Object.keys(text.personal_data).length > 0 && (
          <Card title="Personal data">
            <Bars label="Personal data" items={sorted(text.personal_data)} />
          </Card>
        )}
        {text?.topics && text.topics.length > 0 && <Topics topics={text.topics} />}
        {text?.toxic_words && Object.keys(text.toxic_words).length > 0 && (
          <Card title="Toxic words">
            <Bars label="Toxic words" items={sorted(text.toxic_words)} />
          </Card>
        )}
        <Gaps profile={profile} />
        {profile.columns.map((c) => (
          <Column key={c.name} column={c} rows={profile.rows} labels={profile.labels[c.name]} balance={profile.balance?.[c.name]} />
        ))}
      </div>
    </>
  );
}
