/** Reading many traces at once: their model calls as rows, or everything matching as a stream of lines. */
import { api, currentProject, errorFrom, path, query as params, type Params } from "../api/client.ts";
import type { SpanDetail, TraceDetail } from "../api/types.ts";
import { type Row, rowOf } from "./rows.ts";

const AT_ONCE = 6;

/** `work` for every item, a few at a time, results in the items' order; `said` hears how many are done. */
export async function each<T, R>(items: T[], work: (item: T) => Promise<R>, said: (done: number) => void = () => undefined): Promise<R[]> {
  const results = new Array<R>(items.length);
  let next = 0;
  let done = 0;
  const lane = async () => {
    while (next < items.length) {
      const at = next++;
      results[at] = await work(items[at]!);
      said(++done);
    }
  };
  await Promise.all(Array.from({ length: Math.min(AT_ONCE, items.length) }, lane));
  return results;
}

async function rowsOfTrace(id: string): Promise<Row[]> {
  const trace = await api.get<TraceDetail>(path`/traces/${id}`);
  const rows: Row[] = [];
  for (const span of trace.spans.filter((s) => s.kind === "llm")) {
    const row = rowOf(id, await api.get<SpanDetail>(path`/traces/${id}/spans/${span.span_id}`));
    if (row) rows.push(row);
  }
  return rows;
}

export async function rowsOf(ids: string[], said: (done: number) => void): Promise<Row[]> {
  return (await each(ids, rowsOfTrace, said)).flat();
}

/** Lines of a body as they arrive; the last needs no newline. */
export async function* linesOf(body: ReadableStream<Uint8Array>): AsyncGenerator<string> {
  const decoder = new TextDecoder();
  const reader = body.getReader();
  let rest = "";
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) break;
      const lines = (rest + decoder.decode(value, { stream: true })).split("\n");
      rest = lines.pop() ?? "";
      yield* lines.filter(Boolean);
    }
    rest += decoder.decode();
    if (rest) yield rest;
  } finally {
    reader.cancel().catch(() => undefined);
  }
}

/** The address of a download of everything that matches. */
export function exportHref(format: string, asked: Params): string {
  return `/api/v1/traces/export${params({ ...asked, format, project: currentProject() })}`;
}

/** Rows of all that matches, at most `most` of them; whether there were more. */
export async function rowsMatching(asked: Params, most: number, said: (rows: number) => void, signal: AbortSignal): Promise<{ rows: Row[]; more: boolean }> {
  const response = await fetch(exportHref("jsonl", asked), { credentials: "same-origin", signal, headers: { "x-penstock-project": currentProject() } });
  if (!response.ok || !response.body) throw await errorFrom(response);
  const rows: Row[] = [];
  for await (const line of linesOf(response.body)) {
    const span = JSON.parse(line) as SpanDetail & { trace_id: string };
    const row = rowOf(span.trace_id, span);
    if (!row) continue;
    if (rows.length >= most) return { rows, more: true };
    rows.push(row);
    if (rows.length % 50 === 0) said(rows.length);
  }
  return { rows, more: false };
}
