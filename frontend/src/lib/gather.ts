/** Downloads of traces, and putting them into a dataset. */
import { api, currentProject, query as params, type Params } from "../api/client.ts";

/** The address of a download of everything that matches. */
export function exportHref(format: string, asked: Params): string {
  return `/api/v1/traces/export${params({ ...asked, format, project: currentProject() })}`;
}

export interface Collected {
  dataset: string;
  number: number;
  /** Rows that the traces gave. */
  added: number;
  traces: number;
  /** Reason → how many traces or calls were left out for it. */
  skipped: Record<string, number>;
}

/** So many of the traces that match are taken, the newest; the command line takes any number. */
export const MOST_COLLECTED = 20_000;

export function collect(name: string, each: "last" | "all", what: { ids: string[] } | { asked: Params }): Promise<Collected> {
  const which = "ids" in what ? { trace_ids: what.ids } : { where: what.asked, limit: MOST_COLLECTED };
  return api.post("/feedback/datasets/from-traces", { name, each, ...which });
}
