/** How a target is, in a dot and in words. */
import type { TargetHealth } from "../api/types.ts";
import { count, ms, percent } from "../lib/format.ts";
import type { Leaf } from "../lib/routing.ts";
import { Badge } from "./bits.tsx";

const WORDS: Record<string, string> = { closed: "healthy", open: "resting", half_open: "on trial" };
const TONES: Record<string, string> = { closed: "good", open: "bad", half_open: "wait" };

/** The breaker's state: closed is healthy, open takes no calls, half open is being tried. */
export function HealthBadge({ health }: { health: TargetHealth | undefined }) {
  if (!health) return <Badge value="not called yet" tone="muted-badge" />;
  return (
    <span title={`The breaker is ${health.state.replace("_", " ")}`}>
      <Badge value={WORDS[health.state] ?? health.state} tone={TONES[health.state]} />
    </span>
  );
}

export function leafName(leaf: Leaf): string {
  return leaf.provider ? `${leaf.provider}/${leaf.model}` : `route ${leaf.model}, which there is not`;
}

/** One line per model that a route ends at. */
export function Targets({ leaves, healthOf }: { leaves: Leaf[]; healthOf: (leaf: Leaf) => TargetHealth | undefined }) {
  return (
    <ul className="ends">
      {leaves.map((leaf, i) => {
        const health = healthOf(leaf);
        return (
          <li key={`${leafName(leaf)}-${i}`}>
            <HealthBadge health={health} />
            <span className="mono ellipsis" title={leafName(leaf)}>
              {leafName(leaf)}
            </span>
            {leaf.via.length > 0 && <span className="muted">via {leaf.via.join(" › ")}</span>}
            {leaf.share !== null && leaves.length > 1 && <span className="muted">{percent(leaf.share, leaf.share < 0.1 ? 1 : 0)}</span>}
            {health && (
              <span className="muted">
                {health.ewma_ms ? ms(health.ewma_ms) : "–"} · {count(health.in_flight)} in flight
              </span>
            )}
          </li>
        );
      })}
    </ul>
  );
}
