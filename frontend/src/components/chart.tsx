/** Time series and curves with uPlot, in the theme's colours. */
import { useEffect, useRef } from "react";
import uPlot from "uplot";
import "uplot/dist/uPlot.min.css";
import { useTheme } from "../lib/theme.ts";

export interface Series {
  label: string;
  values: (number | null)[];
  /** A CSS variable's name, such as `--accent`. */
  color: string;
  fill?: boolean;
  bars?: boolean;
  scale?: string;
  format: (n: number | null) => string;
}

interface Props {
  label: string;
  x: number[];
  series: Series[];
  height?: number;
  time?: boolean;
  /** What x counts when it is not a time. */
  axis?: string;
  /** Called with the x range that was drawn with the mouse. */
  onBrush?: (from: number, to: number) => void;
  sync?: string;
  /** Several charts share one legend, drawn elsewhere. */
  bare?: boolean;
}

/** A bar of no height would still draw its line. */
const drawn = (p: Props) => [p.x, ...p.series.map((s) => (s.bars ? s.values.map((v) => v || null) : s.values))] as uPlot.AlignedData;

const css = (name: string) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

function options(p: Props, width: number, brush: (u: uPlot) => void): uPlot.Options {
  const grid = css("--line");
  const ink = css("--ink-2");
  const font = "11px system-ui, sans-serif";
  const format = p.series[0]?.format ?? String;
  const time = p.time !== false;
  return {
    width,
    height: p.height ?? 110,
    padding: [8, time ? 8 : 18, 0, 0],
    legend: { show: false },
    cursor: {
      sync: p.sync ? { key: p.sync, setSeries: false } : undefined,
      drag: { x: !!p.onBrush, y: false, setScale: false },
      points: { size: 6 },
    },
    hooks: { setSelect: [brush] },
    scales: { x: { time }, y: { range: (_u, low, high) => (time ? [0, high > 0 ? high * 1.08 : 1] : low === high ? [low - 1, high + 1] : [low - (high - low) * 0.05, high + (high - low) * 0.05]) } },
    axes: [
      { stroke: ink, font, grid: { show: false }, ticks: { stroke: grid, size: 4 }, size: 26, space: 70, values: time ? undefined : (_u, v) => v.map((n) => n.toLocaleString("en-US")) },
      { stroke: ink, font, grid: { stroke: grid, width: 1 }, ticks: { show: false }, size: 56, space: 28, values: (_u, v) => v.map((n) => format(n)) },
    ],
    series: [
      {},
      ...p.series.map((s): uPlot.Series => ({
        label: s.label,
        stroke: css(s.color),
        width: 1.5,
        fill: s.fill || s.bars ? `color-mix(in srgb, ${css(s.color)} ${s.bars ? 55 : 14}%, transparent)` : undefined,
        paths: s.bars ? uPlot.paths.bars!({ size: [0.8, 40], align: 0 }) : undefined,
        points: { show: !s.bars, size: 5, filter: lone },
        spanGaps: true,
      })),
    ],
  };
}

/** Lines need two points: where no other value is near, the value is drawn as a dot. */
const lone: uPlot.Series.Points.Filter = (u, series) => {
  const values = u.data[series]!;
  const known: number[] = [];
  for (let i = 0; i < values.length && known.length < 2; i++) if (values[i] != null) known.push(i);
  return known.length === 1 ? known : [];
};

export function Chart(props: Props) {
  const box = useRef<HTMLDivElement>(null);
  const readout = useRef<HTMLDivElement>(null);
  const theme = useTheme();
  const brush = useRef(props.onBrush);
  brush.current = props.onBrush;
  const shape = props.series.map((s) => s.label).join("|");
  const plot = useRef<uPlot>(null);
  const latest = useRef(props);
  latest.current = props;
  useEffect(() => {
    const node = box.current;
    if (!node) return;
    const selected = (u: uPlot) => {
      const { left, width } = u.select;
      if (width > 4) {
        brush.current?.(u.posToVal(left, "x"), u.posToVal(left + width, "x"));
        u.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
      }
    };
    const p = latest.current;
    const made = options(p, node.clientWidth || 300, selected);
    made.hooks!.setCursor = [
      (u) => {
        const i = u.cursor.idx;
        if (!readout.current) return;
        const now = latest.current;
        const at = i == null ? null : now.x[i];
        readout.current.textContent =
          i == null || at == null
            ? ""
            : `${now.time === false ? `${now.axis ?? "step"} ${at.toLocaleString("en-US")}` : new Date(at * 1000).toLocaleString()}   ${now.series.map((s) => `${s.label} ${s.format(s.values[i] ?? null)}`).join("   ")}`;
      },
    ];
    const u = new uPlot(made, drawn(p), node);
    plot.current = u;
    const watch = new ResizeObserver(() => {
      if (node.clientWidth && node.clientWidth !== u.width) u.setSize({ width: node.clientWidth, height: p.height ?? 110 });
    });
    watch.observe(node);
    return () => {
      watch.disconnect();
      u.destroy();
      plot.current = null;
    };
  }, [theme, shape, props.height]);
  useEffect(() => {
    plot.current?.setData(drawn(props));
  }, [props.x, props.series]);
  return (
    <figure className="chart">
      <figcaption>
        <span className="chart-title">{props.label}</span>
        {props.series.length > 1 && !props.bare &&
          props.series.map((s) => (
            <span key={s.label} className="legend">
              <i style={{ background: `var(${s.color})` }} />
              {s.label}
            </span>
          ))}
        <span className="readout" ref={readout} />
      </figcaption>
      <div ref={box} className="chart-box" style={{ height: props.height ?? 110 }} role="img" aria-label={`${props.label}, ${props.x.length} points`} />
    </figure>
  );
}
