/** Scales, ticks and fronts for plots that are drawn as SVG. */
export interface Scale {
  low: number;
  high: number;
  log: boolean;
  /** 0 at `low`, 1 at `high`. */
  at: (v: number) => number;
}

/** A scale over the values; logarithmic only where every value is above zero. */
export function scaleOf(values: number[], log = false, pad = 0): Scale {
  const finite = values.filter((v) => Number.isFinite(v));
  let low = finite.length ? Math.min(...finite) : 0;
  let high = finite.length ? Math.max(...finite) : 1;
  const logs = log && low > 0;
  if (low === high) {
    const by = low === 0 ? 1 : Math.abs(low) * 0.5;
    low = logs ? low / 2 : low - by;
    high = logs ? high * 2 : high + by;
  } else if (pad && logs) {
    const by = (high / low) ** pad;
    low /= by;
    high *= by;
  } else if (pad) {
    const by = (high - low) * pad;
    low -= by;
    high += by;
  }
  const at = logs ? (v: number) => Math.log(v / low) / Math.log(high / low) : (v: number) => (v - low) / (high - low);
  return { low, high, log: logs, at };
}

/** Round figures inside the scale, at most about `count` of them. */
export function ticks({ low, high, log }: Pick<Scale, "low" | "high" | "log">, count = 5): number[] {
  if (log && high / low >= 8) {
    const from = Math.ceil(Math.log10(low) - 1e-9);
    const to = Math.floor(Math.log10(high) + 1e-9);
    const decades = Array.from({ length: Math.max(0, to - from + 1) }, (_, i) => 10 ** (from + i));
    if (decades.length >= 2) return decades.filter((_, i) => i % Math.ceil(decades.length / count) === 0);
    const steps = [1, 2, 5].flatMap((m) => [10 ** (from - 1) * m, 10 ** from * m]).filter((v) => v >= low && v <= high);
    return steps.sort((a, b) => a - b);
  }
  const rough = (high - low) / Math.max(1, count);
  if (!(rough > 0)) return [low];
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = power * ([1, 2, 2.5, 5, 10].find((m) => m * power >= rough) ?? 10);
  const first = Math.ceil(low / step - 1e-9);
  const last = Math.floor(high / step + 1e-9);
  return Array.from({ length: Math.max(0, last - first + 1) }, (_, i) => Number(((first + i) * step).toPrecision(12)));
}

export type Direction = "maximize" | "minimize";

/** Positions of the points no other point beats in every respect, sorted by the first figure. */
export function front(points: number[][], directions: Direction[]): number[] {
  const signed = points.map((p) => p.map((v, i) => (directions[i] === "maximize" ? -v : v)));
  const order = signed.map((_, i) => i).sort((a, b) => signed[a]!.reduce((d, v, k) => d || v - signed[b]![k]!, 0));
  const kept: number[] = [];
  // Sorted by the first figure, a point can be beaten only by one before it.
  for (const i of order) if (!kept.some((k) => signed[k]!.every((v, d) => v <= signed[i]![d]!))) kept.push(i);
  return kept;
}

type Box = [left: number, top: number, right: number, bottom: number];

/** Labels that keep off each other and off other dots: the positions of those there is room for. */
export function roomy(labels: { x: number; y: number; text: string; /** Written to the left of its dot. */ left?: boolean }[], dot = 5, letter = 6.2, line = 14): Set<number> {
  const dots = labels.map(({ x, y }): Box => [x - dot, y - dot, x + dot, y + dot]);
  const taken: Box[] = [];
  const fits = new Set<number>();
  labels.forEach(({ x, y, text, left }, i) => {
    const wide = text.length * letter;
    const from = left ? x - 9 - wide : x + 9;
    const box: Box = [from, y - line / 2, from + wide, y + line / 2];
    const hits = (t: Box) => box[0] < t[2] && t[0] < box[2] && box[1] < t[3] && t[1] < box[3];
    if (taken.some(hits) || dots.some((d, n) => n !== i && hits(d))) return;
    taken.push(box);
    fits.add(i);
  });
  return fits;
}
