/** A release's split, its arms against each other, and what was decided. */
import type { ArmMetric, ReleaseComparison, ReleaseDecision, ReleaseDetail } from "../../api/types.ts";
import { count, full, percent } from "../../lib/format.ts";
import { armText, decisionTone, live, metricText, rangeOf, stateText, verdictTone, writeDifference, writeMetric } from "../../lib/releases.ts";
import { A } from "../../lib/nav.tsx";
import { flat, writerOf } from "../../lib/runs.ts";
import { Badge, Card, Table, When } from "../bits.tsx";

const color = (i: number) => `var(--s${i % 10})`;

export function Split({ arms, thin }: { arms: { name: string; weight: number }[]; thin?: boolean }) {
  const sum = arms.reduce((n, a) => n + a.weight, 0) || 1;
  const told = arms.map((a) => `${a.name} ${percent(a.weight / sum, 0)}`).join(", ");
  return (
    <div className={thin ? "split-bar thin" : "split-bar"} role="img" aria-label={`Traffic: ${told}`} title={told}>
      {arms.map((a, i) => a.weight > 0 && (
        <span key={a.name} style={{ width: `${(a.weight / sum) * 100}%`, background: color(i) }} />
      ))}
    </div>
  );
}

/** The shares a canary goes through, and where it is. */
export function Steps({ release }: { release: ReleaseDetail }) {
  if (!release.steps.length) return null;
  const now = live(release.state) ? release.step : undefined;
  return (
    <ol className="steps" aria-label="Steps">
      {release.steps.map((s, i) => (
        <li key={i} className={i < release.step ? "done" : i === now ? "now" : undefined} aria-current={i === now ? "step" : undefined} title={`At least ${full(s.min_calls)} calls`}>
          {percent(s.weight, (s.weight * 100) % 1 ? 1 : 0)}
        </li>
      ))}
    </ol>
  );
}

function Reach({ metric, own, range, index, label }: { metric: ArmMetric; own: [number, number]; range: [number, number]; index: number; label: string }) {
  const at = (v: number) => `${Math.max(0, Math.min(100, ((v - range[0]) / (range[1] - range[0])) * 100))}%`;
  return (
    <svg className="interval" role="img" aria-label={label} style={{ color: color(index) }}>
      <line className="rail" x1="0" x2="100%" y1="50%" y2="50%" />
      <line className="own" x1={at(own[0])} x2={at(own[1])} y1="50%" y2="50%" />
      <circle className="own" cx={at(metric.mean)} cy="50%" r="4" />
    </svg>
  );
}

export function Arms({ release }: { release: ReleaseDetail }) {
  return (
    <Card title="Arms" flush>
      <div className="table-scroll" tabIndex={0} role="region" aria-label="Arms">
        <table className="arms">
          <thead>
            <tr>
              <th scope="col">Arm</th>
              <th scope="col" className="num">
                Traffic
              </th>
              <th scope="col" className="num">
                Calls
              </th>
              {release.metrics.map((m) => (
                <th key={m.name} scope="col">
                  {metricText(m.name)} <span className="muted">({m.direction === "up" ? "more is better" : "less is better"})</span>
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {release.arms.map((a, i) => (
              <tr key={a.name}>
                <td>
                  <span className="row">
                    <i className="swatch" style={{ background: color(i) }} />
                    <b>{a.name}</b>
                    <span className="muted">{armText(a.plan)}</span>
                    {release.winner === a.name && <Badge value="winner" tone="good" />}
                  </span>
                </td>
                <td className="num">{percent(a.weight, (a.weight * 100) % 1 ? 1 : 0)}</td>
                <td className="num">
                  <A href={`/traces?range=all&tag=${encodeURIComponent(`release:${release.id}/${a.name}`)}`} title="Their traces">
                    {count(a.calls)}
                  </A>
                </td>
                {release.metrics.map(({ name }) => {
                  const m = a.metrics[name];
                  const write = writeMetric(name);
                  if (!m || !m.n)
                    return (
                      <td key={name} className="muted">
                        –
                      </td>
                    );
                  const own: [number, number] = [m.low, m.high];
                  const said = own.map(write).join(" to ");
                  return (
                    <td key={name} className="reach-cell">
                      <div className="row">
                        <span className="num">{write(m.mean)}</span>
                        <span className="muted small">{said}</span>
                      </div>
                      <Reach metric={m} own={own} range={rangeOf(release, name)} index={i} label={`${a.name}, ${metricText(name)}: ${write(m.mean)}, ${said}, ${full(m.n)} calls`} />
                    </td>
                  );
                })}
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </Card>
  );
}

/** A difference with its always-valid interval, nothing, and the harm that would stop the release. */
function Difference({ c, up }: { c: ReleaseComparison; up: boolean }) {
  const write = writeDifference(c.metric, c.relative);
  const harm = up ? -c.harm : c.harm;
  // An interval far wider than the harm is drawn to the edge: what matters is between nothing and the harm.
  const reach = Math.max(Math.min(Math.max(...[c.difference, c.low ?? 0, c.high ?? 0].map(Math.abs)), c.harm * 6), c.harm, 1e-12) * 1.12;
  const at = (v: number) => `${50 + (Math.max(-reach, Math.min(reach, v)) / reach) * 50}%`;
  return (
    <svg className={`interval ${{ good: "good", bad: "bad" }[verdictTone(c.verdict)] ?? "plain"}`} role="img" aria-label={`Difference ${write(c.difference)}, interval ${c.low === null ? "without end" : write(c.low)} to ${c.high === null ? "without end" : write(c.high)}, harm ${write(harm)}`}>
      <line className="rail" x1="0" x2="100%" y1="50%" y2="50%" />
      <line className="zero" x1="50%" x2="50%" y1="10%" y2="90%" />
      <line className="harm" x1={at(harm)} x2={at(harm)} y1="10%" y2="90%" />
      <line className="span" x1={at(c.low ?? -reach)} x2={at(c.high ?? reach)} y1="50%" y2="50%" />
      <circle cx={at(c.difference)} cy="50%" r="4" />
    </svg>
  );
}

export function Comparisons({ release }: { release: ReleaseDetail }) {
  const ratio = release.ratio_check;
  const control = release.arms[0]?.name ?? "";
  const ups = new Set(release.metrics.filter((m) => m.direction === "up").map((m) => m.name));
  const range = (c: ReleaseComparison) => {
    const write = writeDifference(c.metric, c.relative);
    return `${c.low === null ? "…" : write(c.low)} to ${c.high === null ? "…" : write(c.high)}`;
  };
  return (
    <>
      {!ratio.ok && (
        <div className="note bad" role="alert">
          <b>The split is not what it should be.</b> More or fewer came to an arm than chance allows ({Object.entries(ratio.counts).map(([name, n]) => `${name} ${full(n)}, expected ${full(Math.round(ratio.expected[name] ?? 0))}`).join("; ")}; p = {ratio.p_value.toExponential(1)}), so nothing that is compared below can be trusted.
        </div>
      )}
      <Card title={`Against ${control}`} flush actions={ratio.ok ? <span className="muted small">The split is as it should be (p = {ratio.p_value.toFixed(2)})</span> : undefined}>
        {release.comparisons.length ? (
          <Table
            label="Comparisons"
            rows={release.comparisons}
            keyOf={(c, i) => `${i}${c.arm}${c.metric}`}
            columns={[
              { head: "Metric", cell: (c) => metricText(c.metric) },
              { head: "Arm", cell: (c) => c.arm },
              { head: "Difference", cell: (c) => `${c.difference > 0 ? "+" : ""}${writeDifference(c.metric, c.relative)(c.difference)}`, num: true },
              { head: "Always-valid interval", cell: (c) => <span className="small muted">{range(c)}</span>, num: true },
              { head: "Harm (dashed)", cell: (c) => <div className="interval-cell"><Difference c={c} up={ups.has(c.metric)} /></div> },
              { head: "p", cell: (c) => (c.p_value < 0.001 ? "< 0.001" : c.p_value.toFixed(3)), num: true },
              { head: "Verdict", cell: (c) => <Badge value={c.verdict} tone={verdictTone(c.verdict)} /> },
            ]}
          />
        ) : (
          <p className="muted pad">Nothing is compared yet.</p>
        )}
        <p className="muted small pad">These intervals hold however often they are looked at; the price is that they are wider than those of a fixed number of calls.</p>
      </Card>
    </>
  );
}

function Evidence({ evidence }: { evidence: Record<string, unknown> }) {
  const rows = Object.entries(flat(evidence));
  if (!rows.length) return null;
  return (
    <details className="evidence">
      <summary>Evidence</summary>
      <dl className="facts">
        {rows.map(([k, v]) => (
          <div key={k}>
            <dt>{k.replace(/_/g, " ")}</dt>
            <dd>{typeof v === "number" ? writerOf(k)(v) : v}</dd>
          </div>
        ))}
      </dl>
    </details>
  );
}

export function Decisions({ decisions }: { decisions: ReleaseDecision[] }) {
  const list = [...decisions].sort((a, b) => b.at.localeCompare(a.at));
  return (
    <Card title="Decisions">
      {list.length ? (
        <ol className="decisions" aria-label="Decisions">
          {list.map((d, i) => (
            <li key={i}>
              <div className="row">
                <Badge value={stateText(d.decision)} tone={decisionTone(d.decision)} />
                <span className="grow">{d.reason}</span>
                <span className="muted nowrap">
                  {d.by || "by itself"}, <When at={d.at} />
                </span>
              </div>
              {Object.keys(d.evidence ?? {}).length > 0 && <Evidence evidence={d.evidence} />}
            </li>
          ))}
        </ol>
      ) : (
        <p className="muted">Nothing is decided yet: every look is written here with its evidence.</p>
      )}
    </Card>
  );
}
