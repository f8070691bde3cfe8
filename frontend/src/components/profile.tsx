/** A dataset version's profile: what is in it, as numbers and small plots. */
import type { ColumnProfile, DatasetProfile } from "../api/types.ts";
import { figure, full } from "../lib/format.ts";
import { Bars, Card, Facts } from "./bits.tsx";

const sorted = (counts: Record<string, number>): [string, number][] => Object.entries(counts).sort((a, b) => b[1] - a[1]);

/** Smallest, 5 %, median, 95 % and largest value on one line: a box plot without a legend to learn. */
function Spread({ name, s }: { name: string; s: Record<string, number> }) {
  const { min = 0, max = 0, p5 = min, median = min, p95 = max } = s;
  const at = (v: number) => `${2 + ((v - min) / (max - min || 1)) * 96}%`;
  return (
    <figure className="spread">
      <figcaption>
        <span>{name}</span>
        <span className="muted">
          median {figure(median)}, mean {figure(s.mean)}
        </span>
      </figcaption>
      <svg className="interval" role="img" aria-label={`${name}: smallest ${figure(min)}, median ${figure(median)}, largest ${figure(max)}`}>
        <line className="rail" x1={at(min)} x2={at(max)} y1="50%" y2="50%" />
        <line className="span" x1={at(p5)} x2={at(p95)} y1="50%" y2="50%" />
        <circle cx={at(median)} cy="50%" r="4" />
      </svg>
      <div className="spread-ends muted">
        <span>{figure(min)}</span>
        <span>{figure(max)}</span>
      </div>
    </figure>
  );
}

function Column({ column, rows, labels }: { column: ColumnProfile; rows: number; labels: Record<string, number> | undefined }) {
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
          ["Note", column.near_constant ? "nearly constant" : null],
        ]}
      />
      {column.numbers && <Spread name="Values" s={column.numbers} />}
      {column.characters && <Spread name="Characters" s={column.characters} />}
      {column.words && <Spread name="Words" s={column.words} />}
      {values.length > 0 && <Bars label={`Most frequent values of ${column.name}`} items={values} max={8} />}
    </Card>
  );
}

export function Profile({ profile }: { profile: DatasetProfile }) {
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
        {profile.columns.map((c) => (
          <Column key={c.name} column={c} rows={profile.rows} labels={profile.labels[c.name]} />
        ))}
      </div>
    </>
  );
}
