/** Things side by side, one column each; rows in which they differ stand out. */
import { type Compared, title, writerOf } from "../lib/runs.ts";
import { colorOf } from "./curves.tsx";

export function Beside({ label, columns, rows, all, name = title, write }: { label: string; columns: { id: string; label: string }[]; rows: Compared[]; all: boolean; /** How a row is called. */ name?: (name: string) => string; /** How its figures are written. */ write?: (name: string) => (n: number | null) => string }) {
  const shown = all ? rows : rows.filter((r) => r.differs);
  const writer = write ?? writerOf;
  if (!shown.length) return <p className="muted pad">{`${label}: ${rows.length ? "nothing differs." : "nothing is recorded."}`}</p>;
  return (
    <div className="table-scroll" tabIndex={0} role="region" aria-label={label}>
      <table className="beside">
        <thead>
          <tr>
            <th scope="col">{label}</th>
            {columns.map((c, i) => (
              <th key={c.id} scope="col">
                <span className="row">
                  <i className="swatch" style={{ background: `var(${colorOf(i)})` }} />
                  {c.label}
                </span>
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {shown.map((row) => (
            <tr key={row.name}>
              <td title={row.name}>{name(row.name)}</td>
              {row.values.map((v, i) => (
                <td key={i} className={all ? (row.differs ? "differs" : "muted") : undefined} title={v === undefined ? undefined : String(v)}>
                  {v === undefined ? "–" : typeof v === "number" ? writer(row.name)(v) : v}
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
