/** How a file of a run is shown, decided by its name and by what is in it; nothing of it is ever run. */
export type Shown = { as: "image"; type: string } | { as: "table" | "text" | "json" | "none" };

/** Most bytes that are read to show a text, and an image. */
export const MOST_TEXT = 200_000;
export const MOST_IMAGE = 8_000_000;

const IMAGES: Record<string, string> = { png: "image/png", jpg: "image/jpeg", jpeg: "image/jpeg", gif: "image/gif", webp: "image/webp", svg: "image/svg+xml", bmp: "image/bmp", avif: "image/avif" };
const CLOSED = new Set(["safetensors", "gguf", "pkl", "pickle", "pt", "pth", "bin", "onnx", "npy", "npz", "zip", "gz", "tar", "zst", "parquet", "h5", "keras", "msgpack", "ckpt", "pdf", "ot", "model"]);

const ending = (path: string) => /\.([a-z0-9]+)$/i.exec(path)?.[1]?.toLowerCase() ?? "";

/** How to show a file of this name. An SVG is drawn as an image, where its scripts do not run. */
export function shownAs(path: string): Shown {
  const end = ending(path);
  if (IMAGES[end]) return { as: "image", type: IMAGES[end] };
  if (end === "json") return { as: "json" };
  if (end === "csv" || end === "tsv") return { as: "table" };
  return { as: CLOSED.has(end) ? "none" : "text" };
}

/** The bytes as a text; null when they are none. The cut end of a character does not count. */
export function textOf(bytes: ArrayBuffer, whole: boolean): string | null {
  if (new Uint8Array(bytes).subarray(0, 4096).includes(0)) return null;
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes, { stream: !whole });
  } catch {
    return null;
  }
}

export interface Grid {
  head: string[];
  rows: string[][];
}

const cellText = (value: unknown) => (typeof value === "string" ? value : JSON.stringify(value) ?? "");

/** A JSON text that is a table, as MLflow's `log_table` writes it, or a list of like objects; null for others. */
export function gridOfJson(value: unknown): Grid | null {
  const table = value as { columns?: unknown; data?: unknown } | null;
  if (table && Array.isArray(table.columns) && Array.isArray(table.data) && table.data.every(Array.isArray)) return { head: table.columns.map(String), rows: (table.data as unknown[][]).map((r) => r.map(cellText)) };
  if (Array.isArray(value) && value.length > 1 && value.every((v) => v && typeof v === "object" && !Array.isArray(v))) {
    const head = [...new Set(value.flatMap((v) => Object.keys(v as object)))];
    return head.length && head.length <= 40 ? { head, rows: value.map((v) => head.map((h) => ((v as Record<string, unknown>)[h] === undefined ? "" : cellText((v as Record<string, unknown>)[h])))) } : null;
  }
  return null;
}

/** Rows of a CSV or TSV text (RFC 4180); the last row is left out when the text was cut. */
export function gridOfCsv(text: string, separator: "," | "\t", whole: boolean): Grid | null {
  const rows: string[][] = [];
  let row: string[] = [];
  let cell = "";
  let inside = false;
  for (let i = 0; i < text.length; i++) {
    const c = text[i]!;
    if (inside) {
      if (c !== '"') cell += c;
      else if (text[i + 1] === '"') cell += text[++i];
      else inside = false;
    } else if (c === '"' && cell === "") inside = true;
    else if (c === separator) row.push(cell), (cell = "");
    else if (c === "\n") {
      row.push(cell.replace(/\r$/, ""));
      rows.push(row);
      row = [];
      cell = "";
    } else cell += c;
  }
  if (whole && (cell || row.length)) rows.push([...row, cell]);
  const [head, ...rest] = rows;
  return head && rest.length ? { head, rows: rest.filter((r) => r.length > 1 || r[0] !== "") } : null;
}
