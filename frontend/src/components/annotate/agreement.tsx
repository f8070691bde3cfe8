/** How much people agree, by question, with its interval and in words. */
import type { Agreement } from "../../api/types.ts";
import { reading } from "../../lib/annotate.ts";
import { figure, full } from "../../lib/format.ts";

const KINDS: Record<string, string> = { cohen: "Cohen’s κ", fleiss: "Fleiss’ κ", alpha: "Krippendorff’s α", same: "all alike" };

function Line({ a }: { a: Agreement }) {
  // A share begins at nothing; a coefficient at complete disagreement.
  const share = a.kind === "same";
  const at = (v: number) => `${share ? v * 100 : (Math.max(-1, Math.min(1, v)) + 1) * 50}%`;
  const tone = share ? "plain" : a.value >= 0.6 ? "good" : a.value >= 0.4 ? "plain" : "bad";
  return (
    <>
      <svg className={`interval ${tone}`} role="img" aria-label={`${a.label}: ${figure(a.value)}, 95 % interval ${figure(a.low)} to ${figure(a.high)}`}>
        <line className="rail" x1="0" x2="100%" y1="50%" y2="50%" />
        {!share && <line className="zero" x1="50%" x2="50%" y1="10%" y2="90%" />}
        <line className="span" x1={at(a.low)} x2={at(a.high)} y1="50%" y2="50%" />
        <circle cx={at(a.value)} cy="50%" r="4" />
      </svg>
      <div className="small muted">
        <b className="ink">{figure(a.value)}</b>
        {share ? "" : ` ${reading(a.value)}`}, {figure(a.low)} to {figure(a.high)}, {full(a.n)} items
      </div>
    </>
  );
}

export function AgreementList({ items }: { items: Agreement[] }) {
  if (!items.length) return <p className="muted small">Shown when two people have answered the same items.</p>;
  return (
    <ul className="agreement">
      {items.map((a) => (
        <li key={`${a.label} ${a.kind}`}>
          <div className="row">
            <b>{a.label.replace(/_/g, " ")}</b>
            <span className="muted small push">{KINDS[a.kind] ?? a.kind}</span>
          </div>
          <Line a={a} />
        </li>
      ))}
    </ul>
  );
}
