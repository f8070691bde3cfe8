/** Traces of very many spans are read as columns; their spans' other fields are read one by one when looked at. */
import { api, path } from "../api/client.ts";
import type { Outline, Page, Span, Status, TraceDetail, TraceRow } from "../api/types.ts";

/** Up to here a trace is read whole. */
export const WHOLE = 3_000;

/** The spans that columns stand for. */
export function spansOf(o: Outline): Span[] {
  return o.span_id.map((span_id, i): Span => {
    const start = o.start_ns + o.start[i]!;
    const parent = o.parent[i]!;
    return {
      span_id,
      parent_id: parent < 0 ? null : o.span_id[parent]!,
      name: o.names[o.name[i]!] ?? "",
      kind: o.kinds[o.kind[i]!] ?? "other",
      model: o.models[o.model[i]!] ?? null,
      provider: null,
      status: (o.statuses[o.status[i]!] ?? "unset") as Status,
      start_ns: start,
      end_ns: start + o.duration[i]!,
      input_tokens: o.tokens[i]!,
      output_tokens: 0,
      cost_usd: o.cost_usd[i] ?? null,
    };
  });
}

export interface Read extends TraceDetail {
  /** How many spans there are when not all are here. */
  of?: number;
  /** Spans came as columns: tokens are in and out together. */
  columns?: boolean;
  /** Sampling let go of spans that came earlier. */
  partial?: boolean;
}

export async function readTrace(id: string, signal: AbortSignal): Promise<Read> {
  const outline = await api.get<Outline>(path`/traces/${id}/outline`, undefined, signal);
  if (outline.spans <= WHOLE) return api.get<Read>(path`/traces/${id}`, undefined, signal);
  const found = await api.get<Page<TraceRow>>("/traces", { query: `id:${id}`, limit: 1 }, signal);
  const summary = found.items[0];
  if (!summary) return api.get<TraceDetail>(path`/traces/${id}`, undefined, signal);
  return { ...summary, spans: spansOf(outline), columns: true, partial: outline.partial, of: outline.spans > outline.span_id.length ? outline.spans : undefined };
}
