/** Parallel coordinates: every line is a run, every axis one thing it was given or reached. */
import { useMemo, useRef, useState, type PointerEvent } from "react";
import { useSearch } from "../lib/nav.tsx";
import { type Ranges, readRanges, within, writeRanges } from "../lib/ranges.ts";
import { axesOf, heightOn, type Line, title } from "../lib/runs.ts";
import { ticks } from "../lib/plot.ts";
import { useWidth } from "../lib/width.ts";
import { Card } from "./bits.tsx";
import { colorOf } from "./curves.tsx";

const HEIGHT = 260;
const TOP = 40;
const BOTTOM = 14;
const SIDE = 70;

export function Parallel({ label, lines, names, ranges, onRanges, picked, onPick, best, colors }: { label: string; lines: Line[]; names: string[]; ranges: Ranges; onRanges: (r: Ranges) => void; picked?: string; onPick?: (id: string) => void; /** Lines drawn in the accent's colour. */ best?: Set<string>; /** A color of its own for each line, as a CSS value. */ colors?: Record<string, string> }) {
  const [box, room] = useWidth<HTMLElement>();
  const axes = useMemo(() => axesOf(lines, names), [lines, names]);
  // Axes need their room: what does not fit is scrolled to.
  const width = Math.max(room, axes.length * 104);
  const [drag, setDrag] = useState<{ name: string; from: number; to: number } | null>(null);
  const svg = useRef<SVGSVGElement>(null);
  const kept = within(lines, axes, ranges);
  const x = (i: number) => (axes.length < 2 ? width / 2 : SIDE + (i * (width - 2 * SIDE)) / (axes.length - 1));
  const y = (part: number) => TOP + (1 - part) * (HEIGHT - TOP - BOTTOM);
  const partAt = (e: PointerEvent) => {
    const top = svg.current?.getBoundingClientRect().top ?? 0;
    return Math.max(0, Math.min(1, 1 - (e.clientY - top - TOP) / (HEIGHT - TOP - BOTTOM)));
  };
  const shown = drag ? { ...ranges, [drag.name]: [Math.min(drag.from, drag.to), Math.max(drag.from, drag.to)] as [number, number] } : ranges;
  const end = () => {
    if (!drag) return;
    const { [drag.name]: _old, ...rest } = ranges;
    onRanges(Math.abs(drag.from - drag.to) < 0.02 ? rest : { ...rest, [drag.name]: [Math.min(drag.from, drag.to), Math.max(drag.from, drag.to)] });
    setDrag(null);
  };
  const path = (l: Line) => {
    let d = "";
    let gap = true;
    axes.forEach((a, i) => {
      const at = heightOn(a, l.values[a.name]);
      if (at === null) gap = true;
      else {
        d += `${gap ? "M" : "L"}${x(i).toFixed(1)} ${y(at).toFixed(1)}`;
        gap = false;
      }
    });
    return d;
  };
  if (axes.length < 2) return <p className="muted">There is too little that differs to draw.</p>;
  return (
    <figure className="parallel" ref={box} tabIndex={0} role="group" aria-label={label}>
      <svg ref={svg} width={width} height={HEIGHT} role="img" aria-label={`${label}: ${lines.length} lines over ${axes.map((a) => title(a.name)).join(", ")}`}>
        {lines.map((l) => (
          <g key={l.id} className={`strand${kept.has(l.id) ? "" : " off"}${best?.has(l.id) ? " best" : ""}${picked === l.id ? " picked" : ""}`} onClick={onPick && (() => onPick(l.id))}>
            <title>{l.label}</title>
            <path d={path(l)} style={colors?.[l.id] && kept.has(l.id) ? { stroke: colors[l.id] } : undefined} />
            <path className="reach" d={path(l)} />
          </g>
        ))}
        {axes.map((a, i) => {
          const range = shown[a.name];
          return (
            <g key={a.name}>
              <text className="axis-name" x={x(i)} y={14} textAnchor="middle">
                <title>{a.name}</title>
                {title(a.name).length > 20 ? `…${title(a.name).slice(-19)}` : title(a.name)}
              </text>
              <line className="axis-line" x1={x(i)} x2={x(i)} y1={TOP} y2={HEIGHT - BOTTOM} />
              {(a.choices ? a.choices.map((c) => [c, heightOn(a, c)!] as const) : ticks(a.scale, 4).map((v) => [a.write(v), a.scale.at(v)] as const)).map(([text, at]) => (
                <text key={text} className="tick" x={x(i) + (i === axes.length - 1 ? 7 : -7)} y={y(at) + 4} textAnchor={i === axes.length - 1 ? "start" : "end"}>
                  {text.length > 14 ? `${text.slice(0, 13)}…` : text}
                </text>
              ))}
              {range && <rect className="range" x={x(i) - 7} width={14} y={y(range[1])} height={Math.max(1, y(range[0]) - y(range[1]))} />}
              <rect
                className="grip"
                x={x(i) - 12}
                y={TOP - 6}
                width={24}
                height={HEIGHT - TOP - BOTTOM + 12}
                onPointerDown={(e) => {
                  e.currentTarget.setPointerCapture(e.pointerId);
                  setDrag({ name: a.name, from: partAt(e), to: partAt(e) });
                }}
                onPointerMove={(e) => drag?.name === a.name && setDrag({ ...drag, to: partAt(e) })}
                onPointerUp={end}
                onPointerCancel={() => setDrag(null)}
              />
            </g>
          );
        })}
      </svg>
    </figure>
  );
}

/** The runs that are compared, each in its colour; what is marked on the axes is kept in the page's address. */
export function Coordinates({ lines, names }: { lines: Line[]; names: string[] }) {
  const [search, patch] = useSearch();
  const ranges = readRanges(search.only);
  const kept = within(lines, axesOf(lines, names), ranges);
  return (
    <Card title="What they were given, and what they reached">
      <Parallel label="Runs" lines={lines} names={names} ranges={ranges} onRanges={(r) => patch({ only: writeRanges(r) }, { replace: true })} best={kept} colors={Object.fromEntries(lines.map((l, i) => [l.id, `var(${colorOf(i)})`]))} />
      {Object.keys(ranges).length > 0 && (
        <div className="actions">
          <span className="muted">{`Inside what is marked: ${lines.filter((l) => kept.has(l.id)).map((l) => l.label).join(", ") || "none"}`}</span>
          <button type="button" className="button small" onClick={() => patch({ only: undefined }, { replace: true })}>
            Unmark
          </button>
        </div>
      )}
    </Card>
  );
}
