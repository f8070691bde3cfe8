/** Policies as forms keep them, and verdicts as traces keep them. */
import type { GuardConfig, GuardPolicy, GuardRules, GuardVerdict, SpanDetail } from "../api/types.ts";

export interface GuardDraft {
  /** Stays the same while guards are moved. */
  id: number;
  kind: string;
  name: string;
  stage: string;
  action: string;
  on_error: string;
  /** JSON source. */
  options: string;
}

export interface PolicyDraft {
  description: string;
  routes: string;
  keys: string;
  order: string;
  record: string;
  guards: GuardDraft[];
}

let made = 0;

export function guardDraft(kind: string, config?: GuardConfig): GuardDraft {
  const options = config && Object.keys(config.options).length ? JSON.stringify(config.options, null, 2) : "";
  return { id: ++made, kind, name: config?.name ?? "", stage: config?.stage ?? "", action: config?.action ?? "", on_error: config?.on_error ?? "closed", options };
}

export function policyDraft(policy?: GuardRules): PolicyDraft {
  return {
    description: policy?.description ?? "",
    routes: (policy?.routes ?? ["*"]).join(", "),
    keys: (policy?.keys ?? ["*"]).join(", "),
    order: String(policy?.order ?? 100),
    record: policy?.record ?? "nothing",
    guards: (policy?.guards ?? []).map((g) => guardDraft(g.kind, g)),
  };
}

/** A guard's options from their source; throws an Error that says what is wrong. */
export function optionsOf(source: string): Record<string, unknown> {
  if (!source.trim()) return {};
  let found: unknown;
  try {
    found = JSON.parse(source);
  } catch (error) {
    throw new Error(`Not JSON: ${(error as Error).message}`);
  }
  if (!found || typeof found !== "object" || Array.isArray(found)) throw new Error('Options are an object: { "kinds": ["email"] }');
  return found as Record<string, unknown>;
}

/** What is wrong with each guard's options, by the guard's id. */
export function problemsOf(draft: PolicyDraft): Map<number, string> {
  const found = new Map<number, string>();
  for (const guard of draft.guards)
    try {
      optionsOf(guard.options);
    } catch (error) {
      found.set(guard.id, (error as Error).message);
    }
  return found;
}

const patterns = (text: string) => text.split(/[,\n]/).map((t) => t.trim()).filter(Boolean);

/** The policy as it is sent; throws when options are no JSON object. */
export function rulesOf(draft: PolicyDraft): GuardRules {
  return {
    description: draft.description.trim(),
    routes: patterns(draft.routes),
    keys: patterns(draft.keys),
    order: Number(draft.order),
    record: draft.record,
    guards: draft.guards.map((g) => ({ kind: g.kind, name: g.name.trim(), stage: g.stage || null, action: g.action || null, on_error: g.on_error, options: optionsOf(g.options) })),
  };
}

export function moved<T>(items: T[], from: number, by: number): T[] {
  const to = from + by;
  if (to < 0 || to >= items.length) return items;
  const out = [...items];
  const [item] = out.splice(from, 1);
  out.splice(to, 0, item!);
  return out;
}

/** Which guard of the form a refusal speaks of: the one called so, or of the kind that it names. */
export function blamed(draft: PolicyDraft, message: string): number | null {
  const named = /\bguard ['"]([^'"]+)['"]/.exec(message)?.[1] ?? /\bguard ([\w.-]+)/.exec(message)?.[1] ?? /\bcalled ['"]([^'"]+)['"]/.exec(message)?.[1];
  if (!named) return null;
  const found = draft.guards.filter((g) => (g.name || g.kind) === named);
  const same = found.length ? found : draft.guards.filter((g) => g.kind === named);
  return same.length === 1 ? same[0]!.id : null;
}

/** The verdicts that a call's span carries. */
export function verdictsOf(span: Pick<SpanDetail, "events">): GuardVerdict[] {
  return (span.events ?? [])
    .filter((e) => e.name === "guardrail")
    .map(({ attributes: a = {} }) => ({
      outcome: String(a.verdict ?? ""),
      guard: String(a.guard ?? ""),
      rule: String(a.rule ?? ""),
      policy: String(a.policy ?? ""),
      stage: String(a.stage ?? ""),
      score: Number(a.score ?? 1),
      count: Number(a.count ?? 1),
      hashes: a.content_hash ? String(a.content_hash).split(",") : [],
    }));
}

export const VERDICTS = ["deny", "modify", "flag"] as const;
export const VERDICT_TONES: Record<string, string> = { deny: "bad", modify: "busy", flag: "wait", allow: "good" };

/** The tag that the gateway puts on a call's span for a verdict, of any policy or of one. */
export function tagOf(verdict: string, policy = ""): string {
  return policy ? `guard:${verdict}:${policy}` : `guard:${verdict}`;
}

/** A policy's address from `name@7`. */
export function policyHref(ref: string): string {
  const [name = "", number] = ref.split("@");
  return `/gateway/guardrails/${encodeURIComponent(name)}${number ? `?version=${encodeURIComponent(number)}` : ""}`;
}

/** Lines that differ between two versions: what the later one has more, and less. */
export function changesOf(before: GuardPolicy | undefined, after: GuardPolicy): string[] {
  if (!before) return ["first version"];
  const label = (g: GuardConfig) => g.name || g.kind;
  const out: string[] = [];
  for (const key of ["description", "order", "record"] as const) if (before[key] !== after[key]) out.push(`${key}: ${before[key] || "(none)"} → ${after[key] || "(none)"}`);
  for (const key of ["routes", "keys"] as const) if (before[key].join() !== after[key].join()) out.push(`${key}: ${before[key].join(", ")} → ${after[key].join(", ")}`);
  const old = new Map(before.guards.map((g) => [label(g), g]));
  const now = new Set(after.guards.map(label));
  for (const g of before.guards) if (!now.has(label(g))) out.push(`without ${label(g)}`);
  for (const g of after.guards) {
    const was = old.get(label(g));
    if (!was) out.push(`with ${label(g)}`);
    else for (const key of ["kind", "stage", "action", "on_error"] as const) if (was[key] !== g[key]) out.push(`${label(g)} ${key}: ${was[key] ?? "usual"} → ${g[key] ?? "usual"}`);
    if (was && JSON.stringify(was.options) !== JSON.stringify(g.options)) out.push(`${label(g)} options`);
  }
  const both = (list: GuardConfig[], other: { has(name: string): boolean }) => list.map(label).filter((l) => other.has(l)).join();
  if (both(before.guards, now) !== both(after.guards, old)) out.push("another order of guards");
  return out.length ? out : ["nothing but the date"];
}
