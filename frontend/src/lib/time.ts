/** Times: relative ranges stay relative in the URL and become instants only when a request is made. */
export const RANGES = ["15m", "1h", "6h", "24h", "7d", "30d", "all"] as const;
export const DEFAULT_RANGE = "7d";
const UNIT: Record<string, number> = { m: 60_000, h: 3_600_000, d: 86_400_000 };

export interface Window {
  since?: string;
  until?: string;
}

/** Length in milliseconds of a range such as `15m` or `7d`; null for `all` and for anything unreadable. */
export function rangeMs(range: string): number | null {
  const m = /^(\d{1,4})([mhd])$/.exec(range);
  return m ? Number(m[1]) * UNIT[m[2]!]! : null;
}

export function windowOf(search: Record<string, string>, now = Date.now()): Window {
  if (search.since || search.until) return { since: search.since, until: search.until };
  const length = rangeMs(search.range ?? DEFAULT_RANGE);
  return length ? { since: new Date(now - length).toISOString() } : {};
}

export function ago(iso: string | number | null | undefined, now = Date.now()): string {
  if (iso == null) return "–";
  const t = typeof iso === "number" ? iso : Date.parse(iso);
  if (Number.isNaN(t)) return "–";
  const s = Math.round((now - t) / 1000);
  if (s < 5) return "just now";
  if (s < 60) return `${s} s ago`;
  if (s < 3600) return `${Math.floor(s / 60)} min ago`;
  if (s < 86_400) return `${Math.floor(s / 3600)} h ago`;
  if (s < 86_400 * 30) return `${Math.floor(s / 86_400)} d ago`;
  return new Date(t).toISOString().slice(0, 10);
}

const pad = (n: number, w = 2) => String(n).padStart(w, "0");

/** Local wall-clock time; `utc` text goes in the tooltip. */
export function clock(t: number | string | null | undefined, withMs = false): string {
  if (t == null) return "–";
  const d = new Date(t);
  if (Number.isNaN(d.getTime())) return "–";
  const day = `${d.getFullYear()}-${pad(d.getMonth() + 1)}-${pad(d.getDate())}`;
  const time = `${pad(d.getHours())}:${pad(d.getMinutes())}:${pad(d.getSeconds())}`;
  return withMs ? `${day} ${time}.${pad(d.getMilliseconds(), 3)}` : `${day} ${time}`;
}

export function utc(t: number | string | null | undefined): string {
  if (t == null) return "";
  const d = new Date(t);
  return Number.isNaN(d.getTime()) ? "" : `${d.toISOString().replace("T", " ").replace("Z", "")} UTC`;
}

/** Seconds between two ISO instants (the second defaults to now), in milliseconds. */
export function between(from: string | null | undefined, to: string | null | undefined, now = Date.now()): number | null {
  if (!from) return null;
  return (to ? Date.parse(to) : now) - Date.parse(from);
}
