/** Models that judge answers: how far they agree with people, and whether a gate may rely on them. */
import { path } from "../../api/client.ts";
import type { Judge, Page } from "../../api/types.ts";
import { figure, full, percent, short } from "../../lib/format.ts";
import { A } from "../../lib/nav.tsx";
import { useGet } from "../../lib/query.ts";
import { Badge, Card, IntervalBar, Table, When } from "../bits.tsx";
import { Empty, Ready } from "../state.tsx";

export function Judges() {
  const judges = useGet<Page<Judge>>("/evals/judges");
  return (
    <Ready query={judges}>
      {(page) =>
        page.items.length ? (
          <Card flush title="Judges and people">
            <Table
              label="Judges"
              rows={page.items}
              keyOf={(j) => j.id}
              columns={[
                {
                  head: "Judge",
                  cell: (j) => (
                    <>
                      {j.scorer} <span className="muted">{j.metric.replace(/_/g, " ")}</span>
                    </>
                  ),
                },
                { head: "Model", cell: (j) => (typeof j.options.model === "string" ? j.options.model : "–") },
                { head: "κ with people", cell: (j) => <b>{figure(j.kappa?.value)}</b>, num: true },
                { head: "95 % interval", cell: (j) => (j.kappa ? `${figure(j.kappa.low)} to ${figure(j.kappa.high)}` : "–"), num: true },
                { head: "Drawn", cell: (j) => j.kappa && <IntervalBar metric={j.kappa} label={`${j.scorer} ${j.metric}`} /> },
                { head: "Same label", cell: (j) => percent(j.agreement), num: true },
                { head: "Labels", cell: (j) => full(j.n), num: true },
                { head: "Needed", cell: (j) => figure(j.threshold), num: true },
                {
                  head: "May gate",
                  cell: (j) => (
                    <span title={j.reason}>
                      <Badge value={j.may_gate ? "yes" : "no"} tone={j.may_gate ? "good" : "bad"} />
                    </span>
                  ),
                },
                { head: "Run", cell: (j) => <A href={path`/evaluations/${j.run_id}`} className="mono">{short(j.run_id, 6)}</A> },
                { head: "Measured", cell: (j) => <When at={j.created_at} /> },
              ]}
            />
          </Card>
        ) : (
          <Empty title="No judge is calibrated yet">
            <p className="muted">A judge is measured against rows that people have labelled. Only one that agrees well enough with them may decide a gate.</p>
          </Empty>
        )
      }
    </Ready>
  );
}
