/** Tables as CSV (RFC 4180), for spreadsheets. */
export type Cell = string | number | null | undefined;

function cell(value: Cell): string {
  if (value == null) return "";
  if (typeof value === "number") return String(value);
  // A spreadsheet would run a text that begins like a formula; names come from callers.
  const safe = /^[=+\-@\t\r]/.test(value) ? `'${value}` : value;
  return /[",\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}

export function csv(rows: Cell[][]): string {
  return rows.map((row) => `${row.map(cell).join(",")}\r\n`).join("");
}

/** Let the browser save a text as a file. */
export function save(name: string, text: string): void {
  const url = URL.createObjectURL(new Blob([text], { type: "text/csv;charset=utf-8" }));
  const link = document.createElement("a");
  link.href = url;
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(url), 1000);
}
