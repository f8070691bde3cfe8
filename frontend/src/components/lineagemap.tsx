/** Where a thing came from and where it went, through every step, as a graph to walk with the mouse or Tab. */
import { useLayoutEffect, useMemo, useRef } from "react";
import type { LineageMap } from "../api/types.ts";
import { folded, idOf, layout, type Placed } from "../lib/dag.ts";
import { full, short } from "../lib/format.ts";
import { A, useSearch } from "../lib/nav.tsx";
import { useGet } from "../lib/query.ts";
import { hrefOf } from "./lineage.tsx";
import { Empty, Ready } from "./state.tsx";

const WIDE = 176;
const HIGH = 44;
const GAP_X = 56;
const GAP_Y = 14;

function Box({ node, current, left, top }: { node: Placed; current: boolean; left: number; top: number }) {
  const href = current || node.more ? null : hrefOf(node.kind, node.ref);
  const kind = node.kind.replace(/_/g, " ");
  const name = node.label || node.ref;
  const text = node.more ? `${full(node.more + 1)} × ${kind}` : name.length > 26 ? short(name, 14) : name;
  return (
    <li className={current ? "map-node current" : `map-node ${node.kind}`} style={{ left, top, width: WIDE, height: HIGH }}>
      <span className="node-kind">{kind}</span>
      {href ? (
        <A href={href} title={node.ref}>
          {text}
        </A>
      ) : (
        <span title={node.ref}>{text}</span>
      )}
    </li>
  );
}

function Graph({ map, current }: { map: LineageMap; current: string }) {
  const { placed, edges } = useMemo(() => {
    const few = folded(map.nodes, map.edges, current);
    return { placed: layout(few.nodes, few.edges), edges: few.edges };
  }, [map, current]);
  const least = Math.min(...placed.map((p) => p.row));
  const at = new Map(placed.map((p) => [p.id, { left: p.column * (WIDE + GAP_X), top: (p.row - least) * (HIGH + GAP_Y) }]));
  const width = Math.max(...placed.map((p) => p.column)) * (WIDE + GAP_X) + WIDE;
  const height = (Math.max(...placed.map((p) => p.row)) - least) * (HIGH + GAP_Y) + HIGH;
  const box = useRef<HTMLDivElement>(null);
  const middle = (at.get(current)?.left ?? 0) + WIDE / 2;
  // What was asked about is seen first, however far its way went back.
  useLayoutEffect(() => {
    if (box.current) box.current.scrollLeft = middle - box.current.clientWidth / 2;
  }, [middle]);
  return (
    <div className="map" ref={box} tabIndex={0} role="region" aria-label="Lineage graph">
      <div className="map-inside" style={{ width, height }}>
        <svg width={width} height={height} aria-hidden="true">
          {edges.map((e, i) => {
            const a = at.get(e.from);
            const b = at.get(e.to);
            if (!a || !b) return null;
            const [x1, y1, x2, y2] = [a.left + WIDE, a.top + HIGH / 2, b.left, b.top + HIGH / 2];
            const bend = Math.max(30, (x2 - x1) / 2);
            return (
              <g key={i}>
                <path className={e.from === current || e.to === current ? "near" : undefined} d={`M${x1} ${y1}C${x1 + bend} ${y1} ${x2 - bend} ${y2} ${x2} ${y2}`}>
                  <title>{e.role}</title>
                </path>
              </g>
            );
          })}
        </svg>
        <ul>
          {placed.map((p) => (
            <Box key={p.id} node={p} current={p.id === current} {...at.get(p.id)!} />
          ))}
        </ul>
      </div>
    </div>
  );
}

export function LineageMapCard({ url, kind, reference }: { url: string; kind: string; reference: string }) {
  const [search, patch] = useSearch();
  const direction = search.direction ?? "both";
  const depth = search.depth ?? "3";
  const map = useGet<LineageMap>(url, { direction, depth }, { staleTime: 10_000, keep: true });
  return (
    <section className="card flush">
      <div className="card-head">
        <h2>Lineage</h2>
        <div className="actions">
          <div className="segments" role="group" aria-label="Direction">
            {(["up", "both", "down"] as const).map((d) => (
              <button key={d} type="button" aria-pressed={direction === d} onClick={() => patch({ direction: d === "both" ? undefined : d })}>
                {{ up: "Made from", both: "Both ways", down: "Made into" }[d]}
              </button>
            ))}
          </div>
          <label className="row">
            Steps
            <select value={depth} onChange={(e) => patch({ depth: e.target.value === "3" ? undefined : e.target.value })}>
              {["1", "2", "3", "5", "10"].map((n) => (
                <option key={n}>{n}</option>
              ))}
            </select>
          </label>
        </div>
      </div>
      <Ready query={map} rows={5}>
        {(m) =>
          m.nodes.length > 1 ? (
            <>
              {m.truncated && <p className="muted pad">There is more than can be drawn: fewer steps or one direction show all of it.</p>}
              <Graph map={m} current={currentOf(m, kind, reference)} />
            </>
          ) : (
            <Empty title="Nothing is recorded before or after this yet" />
          )
        }
      </Ready>
    </section>
  );
}

/** The node that was asked about, whatever its reference is written as. */
function currentOf(map: LineageMap, kind: string, reference: string): string {
  const found = map.nodes.find((n) => n.kind === kind && (n.ref === reference || n.label === reference));
  return found ? idOf(found) : `${kind}:${reference}`;
}
