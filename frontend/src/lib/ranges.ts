/** Parts of axes that were marked, as they stand in the address. */
import { heightOn, type Axis, type Line } from "./runs.ts";

/** Ranges by axis, as parts (0 to 1) of its height. */
export type Ranges = Record<string, [number, number]>;

export function readRanges(text: string | undefined): Ranges {
  const out: Ranges = {};
  for (const part of (text ?? "").split("~").filter(Boolean)) {
    const m = /^(.*):([\d.]+)-([\d.]+)$/.exec(part);
    if (m) out[m[1]!] = [Number(m[2]), Number(m[3])];
  }
  return out;
}

export const writeRanges = (ranges: Ranges) =>
  Object.entries(ranges)
    .map(([name, [a, b]]) => `${name}:${a.toFixed(3)}-${b.toFixed(3)}`)
    .join("~");

/** The lines that pass through every range. */
export function within(lines: Line[], axes: Axis[], ranges: Ranges): Set<string> {
  const asked = axes.filter((a) => ranges[a.name]);
  return new Set(
    lines
      .filter((l) =>
        asked.every((a) => {
          const at = heightOn(a, l.values[a.name]);
          const [low, high] = ranges[a.name]!;
          return at !== null && at >= low - 1e-9 && at <= high + 1e-9;
        }),
      )
      .map((l) => l.id),
  );
}
