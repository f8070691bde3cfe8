/** A profile of any shape: counts become bars, histograms become columns, the rest a table of facts. */
import type { ReactNode } from "react";
import { figure } from "../lib/format.ts";
import { Bars, Facts } from "./bits.tsx";

type Json = unknown;
const record = (v: Json): Record<string, Json> | null => (v && typeof v === "object" && !Array.isArray(v) ? (v as Record<string, Json>) : null);
const numeric = (o: Record<string, Json>) => Object.values(o).length > 0 && Object.values(o).every((v) => typeof v === "number");
const label = (key: string) => key.replace(/_/g, " ");

/** `{edges, counts}` or a list of `[low, high, count]` / `{low, high, count}`. */
function histogram(v: Json): { from: number; to: number; n: number }[] | null {
  const o = record(v);
  if (o && Array.isArray(o.edges) && Array.isArray(o.counts) && o.edges.length === o.counts.length + 1)
    return o.counts.map((n, i) => ({ from: Number((o.edges as Json[])[i]), to: Number((o.edges as Json[])[i + 1]), n: Number(n) }));
  if (Array.isArray(v) && v.length > 1)  {
    const all = v.map((x) => (Array.isArray(x) && x.length === 3 ? { from: x[0], to: x[1], n: x[2] } : record(x) && "count" in record(x)! && "low" in record(x)! ? { from: record(x)!.low, to: record(x)!.high, n: record(x)!.count } : null));
    if (all.every((x) => x && typeof x.n === "number")) return all as { from: number; to: number; n: number }[];
  }
  return null;
}

function Columns({ bins, name }: { bins: { from: number; to: number; n: number }[]; name: string }) {
  const top = Math.max(1, ...bins.map((b) => b.n));
  const w = 240 / bins.length;
  return (
    <figure className="histogram">
      <svg viewBox="0 0 240 56" preserveAspectRatio="none" role="img" aria-label={`${name}: ${bins.length} bins from ${figure(bins[0]!.from)} to ${figure(bins[bins.length - 1]!.to)}`}>
        {bins.map((b, i) => (
          <rect key={i} x={i * w + 0.5} width={Math.max(0.5, w - 1)} y={56 - (b.n / top) * 54} height={(b.n / top) * 54}>
            <title>{`${figure(b.from)} to ${figure(b.to)}: ${figure(b.n)}`}</title>
          </rect>
        ))}
      </svg>
      <figcaption>
        <span>{figure(bins[0]!.from)}</span>
        <span>{figure(bins[bins.length - 1]!.to)}</span>
      </figcaption>
    </figure>
  );
}

function scalar(v: Json): ReactNode {
  if (v === null || v === undefined) return "–";
  if (typeof v === "number") return figure(v);
  if (typeof v === "boolean") return v ? "yes" : "no";
  if (typeof v === "string") return v;
  return <span className="mono">{JSON.stringify(v)}</span>;
}

/** `[["label", 3], …]` or `[{value, count}, …]`. */
function ranking(v: Json): [string, number][] | null {
  if (!Array.isArray(v) || !v.length) return null;
  const out = v.map((x): [string, number] | null => {
    if (Array.isArray(x) && x.length === 2 && typeof x[1] === "number") return [String(x[0]), x[1]];
    const o = record(x);
    return o && typeof o.count === "number" && ("value" in o || "name" in o || "label" in o) ? [String(o.value ?? o.name ?? o.label), o.count] : null;
  });
  return out.every((x) => x) ? (out as [string, number][]) : null;
}

export function Profile({ data, depth = 0 }: { data: Json; depth?: number }) {
  const o = record(data);
  if (!o) return <span>{scalar(data)}</span>;
  const facts: [string, ReactNode][] = [];
  const blocks: [string, ReactNode][] = [];
  for (const [key, value] of Object.entries(o)) {
    const bins = histogram(value);
    const ranked = ranking(value);
    const inner = record(value);
    if (bins) blocks.push([key, <Columns key={key} bins={bins} name={label(key)} />]);
    else if (ranked) blocks.push([key, <Bars key={key} label={label(key)} items={ranked} />]);
    else if (inner && Object.keys(inner).length === 0) facts.push([label(key), "none"]);
    else if (inner && numeric(inner) && Object.keys(inner).length > 1 && !/(^|_)(mean|min|max|p50|median)$/.test(Object.keys(inner).join("_")) && !("mean" in inner) && !("p50" in inner))
      blocks.push([key, <Bars key={key} label={label(key)} items={Object.entries(inner as Record<string, number>).sort((a, b) => b[1] - a[1])} />]);
    else if (inner && numeric(inner)) facts.push([label(key), Object.entries(inner).map(([k, n]) => `${label(k)} ${figure(n as number)}`).join(" · ")]);
    else if (inner && depth < 3) blocks.push([key, <Profile key={key} data={inner} depth={depth + 1} />]);
    else facts.push([label(key), scalar(value)]);
  }
  return (
    <div className="profile">
      <Facts items={facts} />
      {blocks.length > 0 && (
        <div className="profile-grid">
          {blocks.map(([key, node]) => (
            <section key={key} className={(node as { type?: unknown }).type === Profile ? "wide" : undefined}>
              <h3>{label(key)}</h3>
              {node}
            </section>
          ))}
        </div>
      )}
    </div>
  );
}
