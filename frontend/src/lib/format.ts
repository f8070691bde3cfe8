/** Figures as people read them: short, aligned, and a dash where there is nothing. */
const DASH = "–";

export type Num = number | null | undefined;

export function count(n: Num): string {
  if (n == null || Number.isNaN(n)) return DASH;
  const a = Math.abs(n);
  if (a < 10_000) return Math.round(n).toLocaleString("en-US");
  if (a < 999_500) return `${(n / 1e3).toFixed(a < 99_950 ? 1 : 0)}k`;
  if (a < 999_500_000) return `${(n / 1e6).toFixed(a < 99_950_000 ? 1 : 0)}M`;
  return `${(n / 1e9).toFixed(1)}B`;
}

export function full(n: Num): string {
  return n == null ? DASH : n.toLocaleString("en-US");
}

/** A duration given in milliseconds. */
export function ms(n: Num): string {
  if (n == null || Number.isNaN(n)) return DASH;
  if (n < 1) return `${n.toFixed(2)} ms`;
  if (n < 10) return `${n.toFixed(1)} ms`;
  if (n < 1000) return `${Math.round(n)} ms`;
  if (n < 60_000) return `${(n / 1000).toFixed(n < 10_000 ? 2 : 1)} s`;
  const s = Math.round(n / 1000);
  if (s < 3600) return `${Math.floor(s / 60)} m ${s % 60} s`;
  return `${Math.floor(s / 3600)} h ${Math.floor((s % 3600) / 60)} m`;
}

export function usd(n: Num): string {
  if (n == null) return DASH;
  if (n === 0) return "$0";
  if (Math.abs(n) < 1e-7) return "< $0.0000001";
  if (Math.abs(n) < 0.1) return `$${n.toFixed(Math.abs(n) < 0.001 ? 7 : 5).replace(/0+$/, "")}`;
  return `$${n.toLocaleString("en-US", { minimumFractionDigits: 2, maximumFractionDigits: 2 })}`;
}

export function bytes(n: Num): string {
  if (n == null) return DASH;
  const units = ["B", "kB", "MB", "GB", "TB"];
  let i = 0;
  let v = n;
  while (v >= 999.5 && i < units.length - 1) {
    v /= 1000;
    i++;
  }
  return `${i === 0 || v >= 100 ? Math.round(v) : v.toFixed(1)} ${units[i]}`;
}

/** A metric of unknown scale: enough digits to tell two apart. */
export function figure(n: Num): string {
  if (n == null || Number.isNaN(n)) return DASH;
  const a = Math.abs(n);
  if (a !== 0 && (a < 1e-3 || a >= 1e6)) return n.toExponential(2);
  if (Number.isInteger(n)) return n.toLocaleString("en-US");
  return a >= 100 ? n.toFixed(1) : a >= 10 ? n.toFixed(2) : n.toFixed(3);
}

export function percent(n: Num, digits = 1): string {
  return n == null ? DASH : `${(n * 100).toFixed(digits)} %`;
}

export function short(id: string, keep = 8): string {
  const cut = id.indexOf("_");
  const body = cut > 0 ? id.slice(cut + 1) : id;
  if (body.length <= keep + 2) return id;
  // Time-sorted ids share their beginning, so the end tells them apart.
  return `${cut > 0 ? id.slice(0, cut + 1) : ""}…${body.slice(-keep)}`;
}

export function plural(n: number, one: string, many = `${one}s`): string {
  return `${full(n)} ${n === 1 ? one : many}`;
}
