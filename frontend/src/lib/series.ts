/** Time series of several groups, brought onto one axis. */
import type { TimePoint } from "../api/types.ts";

/** What a point says of one measure. */
export type Measure = (p: TimePoint) => number | null;

export interface Lines {
  /** Seconds. */
  x: number[];
  /** By group, in the order of `groups`; null where a group has no point. */
  values: (number | null)[][];
}

export const OTHERS = "others";

const nameOf = (p: TimePoint, by: boolean) => (by ? (p.group ?? OTHERS) : "");

/** The groups of a split series, the costliest and then the busiest first; all others together are last. */
export function groupsOf(points: TimePoint[]): string[] {
  const weight = new Map<string, [number, number]>();
  for (const p of points) {
    const [cost, calls] = weight.get(nameOf(p, true)) ?? [0, 0];
    weight.set(nameOf(p, true), [cost + (p.cost_usd ?? 0), calls + p.calls]);
  }
  return [...weight.keys()].sort((a, b) => {
    if ((a === OTHERS) !== (b === OTHERS)) return a === OTHERS ? 1 : -1;
    const [ac, an] = weight.get(a)!;
    const [bc, bn] = weight.get(b)!;
    return bc - ac || bn - an || (a < b ? -1 : 1);
  });
}

/** One line a group: what the measure is at every time of the series; `gap` where a group has no point. */
export function linesOf(points: TimePoint[], groups: string[] | null, measure: Measure, gap: number | null): Lines {
  const times = [...new Set(points.map((p) => p.time))].sort();
  const place = new Map(times.map((t, i) => [t, i]));
  const names = groups ?? [""];
  const rank = new Map(names.map((g, i) => [g, i]));
  const values = names.map(() => new Array<number | null>(times.length).fill(gap));
  for (const p of points) {
    const line = values[rank.get(nameOf(p, groups !== null)) ?? -1];
    if (line) line[place.get(p.time)!] = measure(p);
  }
  return { x: times.map((t) => Date.parse(t) / 1000), values };
}

/** Part of a whole in 0..1; null where there is no whole. */
export const share = (part: number | null | undefined, whole: number | null | undefined): number | null => (whole ? (part ?? 0) / whole : null);
