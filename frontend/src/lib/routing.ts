/** Routes as people see them: which targets a name leads to, how they are, and what a form says of them. */
import type { Arm, Breaker, GatewayRoute, RoutePlan, RouteTarget, Shadow, TargetHealth } from "../api/types.ts";

export const STRATEGIES: [string, string][] = [
  ["weighted", "In turn, in proportion to the weights"],
  ["fallback", "The first in the list that answers"],
  ["least_latency", "Whoever answers fastest at the moment"],
  ["least_busy", "Whoever has the fewest calls in flight"],
  ["cheapest", "The lowest list price first"],
  ["sticky", "Always the same target for a user, session or key"],
];

/** One model at one provider that a route may end at. */
export interface Leaf {
  provider: string;
  model: string;
  /** Part of the calls it is meant for; null where the order decides. */
  share: number | null;
  /** Arm and nested routes passed on the way. */
  via: string[];
}

const DEPTH = 4;

function shares(strategy: string, weights: number[]): (number | null)[] {
  const sum = weights.reduce((a, b) => a + b, 0);
  if (strategy !== "weighted" && strategy !== "sticky") return weights.map(() => null);
  return weights.map((w) => (sum > 0 ? w / sum : 0));
}

function down(strategy: string, targets: RouteTarget[], routes: Map<string, GatewayRoute>, at: { share: number | null; via: string[]; depth: number }): Leaf[] {
  const parts = shares(strategy, targets.map((t) => t.weight));
  return targets.flatMap((t, i) => {
    const part = parts[i] ?? null;
    const share = part === null || at.share === null ? null : at.share * part;
    if (!t.route) return [{ provider: t.provider, model: t.model, share, via: at.via }];
    const next = routes.get(t.route);
    const via = [...at.via, t.route];
    if (!next || at.depth >= DEPTH) return [{ provider: "", model: t.route, share, via }];
    return leavesOf(next, routes, { share, via, depth: at.depth + 1 });
  });
}

/** All ends of a route, arms and nested routes opened up. */
export function leavesOf(route: GatewayRoute, routes: Map<string, GatewayRoute>, at: { share: number | null; via: string[]; depth: number } = { share: 1, via: [], depth: 1 }): Leaf[] {
  if (!route.arms.length) return down(route.strategy, route.targets, routes, at);
  const sum = route.arms.reduce((a, arm) => a + arm.weight, 0);
  return route.arms.flatMap((arm) => {
    const share = at.share === null || sum <= 0 ? null : (at.share * arm.weight) / sum;
    return down(route.strategy, arm.targets, routes, { share, via: [...at.via, `arm ${arm.name}`], depth: at.depth });
  });
}

export function healthOf(leaf: { provider: string; model: string }, all: TargetHealth[]): TargetHealth | undefined {
  return all.find((h) => h.provider === leaf.provider && h.model === leaf.model);
}

/** What a form holds of a target: text as typed. */
export interface TargetDraft {
  kind: "model" | "route";
  provider: string;
  model: string;
  route: string;
  weight: string;
}
export interface ArmDraft {
  name: string;
  weight: string;
  targets: TargetDraft[];
}
export interface RouteDraft {
  name: string;
  strategy: string;
  sticky_by: string;
  targets: TargetDraft[];
  split: boolean;
  arms: ArmDraft[];
  numbers: Record<string, string>;
  breaker: Record<string, string>;
  copies: boolean;
  shadow: Record<string, string>;
}

/** Numbers of a route with what an empty box means. */
export const NUMBERS: [key: NumberKey, label: string, empty: number | null][] = [
  ["retries", "Retries", 1],
  ["timeout", "First byte (s)", null],
  ["first_token_timeout", "First token (s)", null],
  ["connect_timeout", "Connecting (s)", null],
  ["idle_timeout", "Silence (s)", null],
  ["hedge_after_ms", "Hedge after (ms)", null],
  ["max_concurrent", "Calls at once", null],
  ["queue", "Waiting calls", 0],
  ["queue_seconds", "In the queue (s)", 10],
];
type NumberKey = "retries" | "timeout" | "first_token_timeout" | "connect_timeout" | "idle_timeout" | "hedge_after_ms" | "max_concurrent" | "queue" | "queue_seconds";
export const BREAKER: [key: keyof Breaker, label: string, empty: number][] = [
  ["failures", "Failures in a row", 10],
  ["error_rate", "Share of failures", 0.5],
  ["min_calls", "After so many calls", 20],
  ["window", "Within (s)", 30],
  ["seconds", "Rest (s)", 10],
  ["probes", "Probes", 1],
];

export const emptyTarget = (): TargetDraft => ({ kind: "model", provider: "", model: "", route: "", weight: "1" });

const targetDraft = (t: RouteTarget): TargetDraft => ({ kind: t.route ? "route" : "model", provider: t.provider, model: t.model, route: t.route, weight: String(t.weight) });
const typed = (value: number | null, empty: number | null) => (value === null || value === empty ? "" : String(value));

export function draftOf(route: GatewayRoute | undefined): RouteDraft {
  return {
    name: route?.name ?? "",
    strategy: route?.strategy ?? "weighted",
    sticky_by: route?.sticky_by ?? "user",
    targets: route?.targets.length ? route.targets.map(targetDraft) : [emptyTarget()],
    split: !!route?.arms.length,
    arms: route?.arms.length
      ? route.arms.map((a) => ({ name: a.name, weight: String(a.weight), targets: a.targets.map(targetDraft) }))
      : [
          { name: "control", weight: "9", targets: [emptyTarget()] },
          { name: "candidate", weight: "1", targets: [emptyTarget()] },
        ],
    numbers: Object.fromEntries(NUMBERS.map(([key, , empty]) => [key, route ? typed(route[key], empty) : ""])),
    breaker: Object.fromEntries(BREAKER.map(([key, , empty]) => [key, route ? typed(route.breaker[key], empty) : ""])),
    copies: !!route?.shadow,
    shadow: {
      provider: route?.shadow?.provider ?? "",
      model: route?.shadow?.model ?? "",
      share: typed(route?.shadow?.share ?? 1, 1),
      max_in_flight: typed(route?.shadow?.max_in_flight ?? 10, 10),
      usd_per_day: typed(route?.shadow?.usd_per_day ?? null, null),
      bill_key: route?.shadow?.bill_key ? "yes" : "",
    },
  };
}

const amount = (text: string | undefined, empty: number): number => (text?.trim() ? Number(text) : empty);
const maybe = (text: string | undefined): number | null => (text?.trim() ? Number(text) : null);

function targetOf(d: TargetDraft): RouteTarget {
  const weight = amount(d.weight, 1);
  return d.kind === "route" ? { provider: "", model: "", route: d.route, weight } : { provider: d.provider, model: d.model.trim(), route: "", weight };
}

function shadowOf(d: RouteDraft): Shadow | null {
  if (!d.copies) return null;
  const { provider = "", model = "", share, max_in_flight, usd_per_day, bill_key } = d.shadow;
  return { provider, model: model.trim(), share: amount(share, 1), max_in_flight: amount(max_in_flight, 10), usd_per_day: maybe(usd_per_day), bill_key: bill_key === "yes" };
}

/** What is sent to the server: the whole plan. */
export function planOf(d: RouteDraft): RoutePlan {
  const arms: Arm[] = d.split ? d.arms.map((a) => ({ name: a.name.trim(), weight: amount(a.weight, 1), targets: a.targets.map(targetOf) })) : [];
  const numbers = Object.fromEntries(NUMBERS.map(([key, , empty]) => [key, maybe(d.numbers[key]) ?? empty])) as Pick<RoutePlan, NumberKey>;
  const breaker = Object.fromEntries(BREAKER.map(([key, , empty]) => [key, amount(d.breaker[key], empty)])) as unknown as Breaker;
  return { strategy: d.strategy, sticky_by: d.sticky_by, targets: d.split ? [] : d.targets.map(targetOf), arms, ...numbers, breaker, shadow: shadowOf(d) };
}

/** The same list with an entry moved by one place. */
export function moved<T>(list: T[], at: number, by: number): T[] {
  const to = at + by;
  if (to < 0 || to >= list.length) return list;
  const out = [...list];
  [out[at], out[to]] = [out[to]!, out[at]!];
  return out;
}
