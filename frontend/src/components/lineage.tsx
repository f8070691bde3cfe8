/** What a thing was made from and what was made from it, as three columns joined by lines. */
import type { Edge, Link, Page } from "../api/types.ts";
import { A } from "../lib/nav.tsx";
import { short } from "../lib/format.ts";
import { path } from "../api/client.ts";
import { useGet } from "../lib/query.ts";
import { Ready } from "./state.tsx";

/** A link whose end has a name beside its reference. */
type Named = Link & { name?: string | null };

/** The page that shows a lineage node; null for kinds without one. */
export function hrefOf(kind: string, ref: string, called?: string | null): string | null {
  const [name = "", version] = ref.split("@");
  const v = version && /^\d+$/.test(version) ? `?version=${version}` : "";
  switch (kind) {
    case "dataset_version":
    case "dataset":
      return path`/datasets/${name}` + v;
    case "model_version":
    case "model":
      return path`/models/${name}` + v;
    case "prompt_version":
    case "prompt":
      return path`/prompts/${name}` + v;
    case "training_run":
      return path`/training/${ref}`;
    case "run":
      return path`/experiments/runs/${ref}`;
    case "eval_run":
      return path`/evaluations/${ref}`;
    case "trace":
      return path`/traces/${ref}`;
    case "deployment":
      return path`/deployments/${name}`;
    case "traces":
      return `/traces?range=all&model=${encodeURIComponent(ref)}`;
    case "release":
      return path`/releases/${ref}`;
    case "queue":
      return called ? path`/annotation/${called}` : null;
    case "training_search":
      return path`/training/searches/${ref}`;
    default:
      return null;
  }
}

const HEIGHT = 44;
const MAX = 8;

/** Many alike (traces above all) become one node with a number. */
function fold(links: Named[]): { link: Named; more: number }[] {
  const seen = new Map<string, { link: Named; more: number }>();
  const counts = new Map<string, number>();
  for (const link of links) counts.set(link.kind + link.role, (counts.get(link.kind + link.role) ?? 0) + 1);
  for (const link of links) {
    const group = link.kind + link.role;
    const key = (counts.get(group) ?? 0) > 4 ? group : group + link.ref;
    const old = seen.get(key);
    if (old) old.more++;
    else seen.set(key, { link, more: 0 });
  }
  return [...seen.values()].slice(0, MAX);
}

function Node({ link, more, current }: { link: Named; more: number; current?: boolean }) {
  const href = current || more ? null : hrefOf(link.kind, link.ref, link.name);
  const text = more ? `${(more + 1).toLocaleString("en-US")} × ${link.kind.replace("_", " ")}` : link.name ? link.name : link.ref.length > 26 ? short(link.ref, 12) : link.ref;
  return (
    <div className={current ? "node current" : "node"}>
      <span className="node-kind">{link.role || link.kind.replace("_", " ")}</span>
      {href ? (
        <A href={href} title={link.ref}>
          {text}
        </A>
      ) : (
        <span title={link.ref}>{text}</span>
      )}
    </div>
  );
}

function Lines({ n, total, side }: { n: number; total: number; side: "left" | "right" }) {
  const h = total * HEIGHT;
  const mid = h / 2;
  const first = mid - (n * HEIGHT) / 2 + HEIGHT / 2;
  return (
    <svg className="lineage-lines" viewBox={`0 0 48 ${h}`} width="48" height={h} aria-hidden="true">
      {Array.from({ length: n }, (_, i) => {
        const y = first + i * HEIGHT;
        const [a, b] = side === "left" ? [y, mid] : [mid, y];
        return <path key={i} d={`M0 ${a}C24 ${a} 24 ${b} 48 ${b}`} />;
      })}
    </svg>
  );
}

export function LineageGraph({ kind, reference }: { kind: string; reference: string }) {
  // A reference is one path segment, or several: the server takes the rest of the path as it is.
  const url = path`/lineage/${kind}/${reference}`;
  const up = useGet<Page<Edge>>(url, { direction: "up", depth: 1 }, { staleTime: 10_000 });
  const down = useGet<Page<Edge>>(url, { direction: "down", depth: 1 }, { staleTime: 10_000 });
  return (
    <Ready query={up} rows={4}>
      {(above) => (
        <Ready query={down} rows={4}>
          {(below) => (
            <Graph
              kind={kind}
              reference={reference}
              up={fold(above.items.map((e) => ({ kind: e.parent_kind, ref: e.parent_ref, role: e.role, name: e.parent_name })))}
              down={fold(below.items.map((e) => ({ kind: e.child_kind, ref: e.child_ref, role: e.role, name: e.child_name })))}
            />
          )}
        </Ready>
      )}
    </Ready>
  );
}

interface Side {
  link: Named;
  more: number;
}

function Graph({ kind, reference, up, down }: { kind: string; reference: string; up: Side[]; down: Side[] }) {
  const total = Math.max(1, up.length, down.length);
  if (!up.length && !down.length) return <p className="muted pad">Nothing is recorded upstream or downstream of this version yet.</p>;
  return (
    <div className="lineage" tabIndex={0} role="region" aria-label="Lineage">
      {up.length > 0 && (
        <>
          <div className="lineage-column">
            {up.map((x) => (
              <Node key={x.link.kind + x.link.ref + x.link.role} {...x} />
            ))}
          </div>
          <Lines n={up.length} total={total} side="left" />
        </>
      )}
      <div className="lineage-column">
        <Node link={{ kind, ref: reference, role: kind.replace("_", " ") }} more={0} current />
      </div>
      {down.length > 0 && (
        <>
          <Lines n={down.length} total={total} side="right" />
          <div className="lineage-column">
            {down.map((x) => (
              <Node key={x.link.kind + x.link.ref + x.link.role} {...x} />
            ))}
          </div>
        </>
      )}
    </div>
  );
}
