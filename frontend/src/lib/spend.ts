/** What was spent, by whom: rows with their share, in an order. */
import type { Usage } from "../api/types.ts";
import type { Cell } from "./csv.ts";

export const GROUPS: [key: string, label: string][] = [["model", "Model"], ["provider", "Provider"], ["route", "Route"], ["key", "Key"], ["user", "User"], ["kind", "Kind"], ["project", "Project"], ["day", "Day"]];

export function total(rows: Omit<Usage, "group">[]): Usage {
  const sum = (pick: (u: Omit<Usage, "group">) => number | null) => rows.reduce((all, u) => all + (pick(u) ?? 0), 0);
  const calls = sum((u) => u.calls);
  return {
    group: "",
    calls,
    errors: sum((u) => u.errors),
    input_tokens: sum((u) => u.input_tokens),
    output_tokens: sum((u) => u.output_tokens),
    cached_tokens: sum((u) => u.cached_tokens),
    reasoning_tokens: sum((u) => u.reasoning_tokens),
    cost_usd: sum((u) => u.cost_usd),
    unpriced: sum((u) => u.unpriced),
    mean_latency_ms: calls ? sum((u) => (u.mean_latency_ms ?? 0) * u.calls) / calls : 0,
  };
}

/** Days in their order, everything else by cost and then by calls. */
export function ordered(rows: Usage[], by: string): Usage[] {
  const out = [...rows];
  if (by === "day") return out.sort((a, b) => (a.group < b.group ? 1 : -1));
  return out.sort((a, b) => (b.cost_usd ?? 0) - (a.cost_usd ?? 0) || b.calls - a.calls || (a.group < b.group ? -1 : 1));
}

export function table(rows: Usage[], by: string, named: (group: string) => string): Cell[][] {
  const head = [by, ...(by === "key" ? ["name"] : []), "calls", "errors", "input_tokens", "cached_tokens", "output_tokens", "reasoning_tokens", "cost_usd", "unpriced", "mean_latency_ms"];
  return [head, ...rows.map((u) => [u.group, ...(by === "key" ? [named(u.group)] : []), u.calls, u.errors, u.input_tokens, u.cached_tokens, u.output_tokens, u.reasoning_tokens, u.cost_usd, u.unpriced, u.mean_latency_ms])];
}
