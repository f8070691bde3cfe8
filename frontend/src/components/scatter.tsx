/** Two figures of each thing against each other, with the front that nothing beats drawn as steps. */
import { useMemo } from "react";
import { front, roomy, scaleOf, ticks, type Direction } from "../lib/plot.ts";
import { useWidth } from "../lib/width.ts";

export interface Dot {
  id: string;
  label: string;
  x: number;
  y: number;
  /** The interval of `y`. */
  low?: number | null;
  high?: number | null;
  tone?: "good" | "bad" | "plain" | "chosen";
}

interface Axis {
  name: string;
  direction: Direction;
  log?: boolean;
  write: (n: number) => string;
  /** Neither way is better: there is no front over it. */
  plain?: boolean;
}

const HEIGHT = 300;
const LEFT = 64;
const BOTTOM = 40;
const TOP = 12;
const RIGHT = 18;

export function Scatter({ label, dots, x, y, picked, onPick, line, named = true }: { label: string; dots: Dot[]; x: Axis; y: Axis; picked?: string; onPick?: (id: string) => void; /** A level of `y` to compare with, such as the parent's. */ line?: { at: number; text: string }; named?: boolean }) {
  const [box, width] = useWidth<HTMLElement>();
  const across = useMemo(() => scaleOf(dots.map((d) => d.x), x.log, 0.08), [dots, x.log]);
  const up = useMemo(() => scaleOf([...dots.flatMap((d) => [d.y, d.low ?? d.y, d.high ?? d.y]), ...(line ? [line.at] : [])], y.log, 0.08), [dots, y.log, line]);
  const px = (v: number) => LEFT + across.at(v) * (width - LEFT - RIGHT);
  const py = (v: number) => TOP + (1 - up.at(v)) * (HEIGHT - TOP - BOTTOM);
  const best = useMemo(() => (x.plain ? [] : front(dots.map((d) => [d.x, d.y]), [x.direction, y.direction]).map((i) => dots[i]!)), [dots, x.direction, x.plain, y.direction]);
  // A step: at least as good as the corner on one side, as the next dot on the other.
  const steps = best.map((d, i) => (i === 0 ? `M${px(d.x)} ${py(d.y)}` : x.direction === "minimize" ? `H${px(d.x)}V${py(d.y)}` : `V${py(d.y)}H${px(d.x)}`)).join("");
  const leftward = (d: Dot) => px(d.x) > width - 110;
  const shown = roomy(dots.map((d) => ({ x: px(d.x), y: py(d.y), text: d.label, left: leftward(d) })));
  return (
    <figure className="scatter" ref={box}>
      <svg width={width} height={HEIGHT} role="img" aria-label={`${label}: ${dots.length} points${best.length ? `; ${best.length} that none beats: ${best.map((d) => `${d.label} (${x.write(d.x)}, ${y.write(d.y)})`).join(", ")}` : ""}`}>
        {ticks(up, 5).map((v) => (
          <g key={v}>
            <line className="grid" x1={LEFT} x2={width - RIGHT} y1={py(v)} y2={py(v)} />
            <text x={LEFT - 8} y={py(v) + 4} textAnchor="end">
              {y.write(v)}
            </text>
          </g>
        ))}
        {ticks(across, Math.max(2, Math.floor(width / 110))).map((v) => (
          <g key={v}>
            <line className="grid" x1={px(v)} x2={px(v)} y1={TOP} y2={HEIGHT - BOTTOM} />
            <text x={px(v)} y={HEIGHT - BOTTOM + 16} textAnchor="middle">
              {x.write(v)}
            </text>
          </g>
        ))}
        <text className="axis-name" x={(LEFT + width - RIGHT) / 2} y={HEIGHT - 4} textAnchor="middle">
          {x.plain ? x.name : `${x.name} (${x.direction === "minimize" ? "less is better" : "more is better"})`}
        </text>
        <text className="axis-name" transform={`translate(12 ${(HEIGHT - BOTTOM) / 2}) rotate(-90)`} textAnchor="middle">
          {y.name}
        </text>
        {line && (
          <g>
            <line className="level" x1={LEFT} x2={width - RIGHT} y1={py(line.at)} y2={py(line.at)} />
            <text x={width - RIGHT} y={py(line.at) - 5} textAnchor="end">
              {line.text}
            </text>
          </g>
        )}
        {best.length > 1 && <path className="front" d={steps} />}
        {dots.map((d, i) => (
          <g key={d.id} className={`dot-mark ${d.tone ?? "plain"}${picked === d.id ? " picked" : ""}${best.includes(d) ? " best" : ""}`} onClick={onPick && (() => onPick(d.id))}>
            <title>{`${d.label}: ${x.name} ${x.write(d.x)}, ${y.name} ${y.write(d.y)}`}</title>
            {d.low != null && d.high != null && <line x1={px(d.x)} x2={px(d.x)} y1={py(d.low)} y2={py(d.high)} />}
            <circle cx={px(d.x)} cy={py(d.y)} r={picked === d.id ? 7 : 5} />
            {named && shown.has(i) && (
              <text x={px(d.x) + (leftward(d) ? -9 : 9)} y={py(d.y) + 4} textAnchor={leftward(d) ? "end" : "start"}>
                {d.label}
              </text>
            )}
          </g>
        ))}
      </svg>
    </figure>
  );
}
