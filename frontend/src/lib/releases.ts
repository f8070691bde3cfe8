/** What the release pages work out. */
import type { PlannedArm, Release, ReleaseDetail, ReleaseSubject } from "../api/types.ts";
import { figure, ms, percent, usd } from "./format.ts";

export const KINDS: [string, string][] = [
  ["canary", "Canary: more traffic step by step"],
  ["shadow", "Shadow: copies of calls, answers compared"],
  ["ab", "A/B: fixed shares until one is better"],
  ["bandit", "Best arm: traffic goes where it is better"],
];
/** What may be released → where it is, and what an arm says. */
export const SUBJECTS: [string, string][] = [
  ["deployment", "The model of a deployment"],
  ["model", "A provider's model on a route"],
  ["prompt", "The version behind a prompt's label"],
  ["route", "Another route in a route's place"],
  ["params", "Parameters of a route's calls"],
];

const LIVE = ["waiting", "running", "paused", "decided"];
/** Whether a release still divides traffic. */
export const live = (state: string) => LIVE.includes(state);
export const stateText = (state: string) => state.replace(/_/g, " ");
export const toneOf = (state: string): string => ({ promoted: "good", rolled_back: "bad", paused: "wait", waiting: "wait", decided: "good", running: "busy" })[state] ?? "plain";
export const decisionTone = (decision: string): string => ({ roll_back: "bad", drop: "bad", hold: "wait", pause: "wait", stop_judging: "wait", start: "plain", resume: "plain", reweight: "busy", go_on: "good", decide: "good", promote: "good" })[decision] ?? "plain";
export const verdictTone = (verdict: string): string => ({ harmful: "bad", better: "good", safe: "good", open: "plain" })[verdict] ?? "plain";

/** What is released, in words: `model of the deployment triage`. */
export function subjectText({ type, route, deployment, prompt, label }: ReleaseSubject): string {
  if (prompt) return `prompt ${prompt} (${label})`;
  if (deployment) return `${type} of the deployment ${deployment}`;
  return `${type} of the route ${route}`;
}

/** What an arm serves; empty for a control that is as things were. */
export function armText(plan: PlannedArm | undefined): string {
  if (!plan) return "";
  if (plan.version !== null && plan.version !== undefined) return `version ${plan.version}`;
  const target = plan.model ? (plan.provider ? `${plan.provider}/${plan.model}` : plan.model) : plan.route;
  return target || (Object.keys(plan.params ?? {}).length ? JSON.stringify(plan.params) : "");
}

/** How a metric's value is written: times in seconds, costs in dollars, errors as shares. */
export function writeMetric(name: string): (n: number) => string {
  if (name === "latency" || name === "first_token") return (n) => ms(n * 1000);
  if (name === "cost") return usd;
  if (name === "errors" || name === "guard_hits") return (n) => percent(n, 2);
  return figure;
}

/** How a difference is written: shares of the control's mean in per cent. */
export const writeDifference = (name: string, relative: boolean): ((n: number) => string) => (relative ? (n) => percent(n, 1) : writeMetric(name));

export const metricText = (name: string) => name.replace(/^(feedback|score):/, "$1 ").replace(/_/g, " ");

/** The share of a step now: the traffic bar in the list. */
export const sharesOf = (release: Release): { name: string; weight: number }[] => Object.entries(release.shares).map(([name, weight]) => ({ name, weight }));

/** What judging the answers came to; null where nobody judges. */
export function judgingText(judging: ReleaseDetail["judging"]): string | null {
  if (!judging) return null;
  const { share, calls, spent_usd, cap_usd, stopped } = judging;
  return `${percent(share, (share * 100) % 1 ? 1 : 0)} of the answers; ${usd(spent_usd)} of ${usd(cap_usd)} spent on ${calls} verdicts${stopped ? "; stopped" : ""}`;
}

/** The range that every arm's interval of a metric fits into. */
export function rangeOf(release: ReleaseDetail, metric: string): [number, number] {
  const values = release.arms.flatMap((a) => {
    const m = a.metrics[metric];
    return m ? [m.mean, m.low, m.high].filter((v) => Number.isFinite(v)) : [];
  });
  if (!values.length) return [0, 1];
  const [low, high] = [Math.min(...values), Math.max(...values)];
  const pad = (high - low) * 0.08 || Math.abs(high) * 0.1 || 1;
  return [low - pad, high + pad];
}

export interface Draft {
  name: string;
  kind: string;
  /** A key of SUBJECTS. */
  what: string;
  /** The route, deployment or prompt. */
  place: string;
  arms: { name: string; provider: string; value: string; weight: string }[];
  steps: string;
  metrics: { name: string; direction: string; harm: string }[];
  alpha: string;
  sticky: string;
}

export const hasSteps = (kind: string) => kind === "canary" || kind === "shadow";

function planned(draft: Draft, at: number): Record<string, unknown> | string {
  const { name, provider, value, weight } = draft.arms[at]!;
  const arm: Record<string, unknown> = { name: name.trim() };
  if (!arm.name) return "Every arm needs a name.";
  if (!hasSteps(draft.kind)) {
    arm.weight = Number(weight);
    if (!(Number(weight) > 0)) return `The share of ${name} must be above zero.`;
  }
  // The first arm is the control: things as they are, which only a prompt has to name.
  if (at === 0 && draft.what !== "prompt") return arm;
  if (!value.trim()) return `${name} needs what it serves.`;
  if (draft.what === "prompt") {
    arm.version = Number(value);
    if (!Number.isInteger(arm.version)) return `${name} needs the number of a version.`;
  } else if (draft.what === "params") {
    try {
      arm.params = JSON.parse(value);
    } catch {
      return `The parameters of ${name} are not JSON.`;
    }
  } else if (draft.what === "route") arm.route = value.trim();
  else {
    arm.model = value.trim();
    if (draft.what === "model") {
      arm.provider = provider.trim();
      if (!arm.provider) return `${name} needs the model's provider.`;
    }
  }
  return arm;
}

/** What the server is asked to begin, or what is wrong with the form. */
export function planOf(draft: Draft): Record<string, unknown> | string {
  if (!draft.place.trim()) return "Say what is released.";
  const arms = draft.arms.map((_, i) => planned(draft, i));
  const wrong = arms.find((a) => typeof a === "string");
  if (typeof wrong === "string") return wrong;
  const names = arms.map((a) => (a as { name: string }).name);
  if (new Set(names).size < names.length) return "Two arms have the same name.";
  if (hasSteps(draft.kind) && arms.length > 2) return `A ${draft.kind} release has two arms: what is and what is new.`;
  const plan: Record<string, unknown> = { name: draft.name.trim(), kind: draft.kind, arms, alpha: Number(draft.alpha), sticky_by: draft.sticky };
  const place = draft.place.trim();
  plan.subject = draft.what === "deployment" ? { type: "model", deployment: place } : draft.what === "prompt" ? { type: "prompt", prompt: place } : { type: draft.what, route: place };
  if (hasSteps(draft.kind) && draft.steps.trim()) {
    const shares = draft.steps.split(",").map((s) => Number(s.trim()) / 100);
    if (shares.some((s, i) => !(s > 0) || s > 1 || (i > 0 && s <= shares[i - 1]!))) return "Steps are shares in per cent that grow, such as 5, 25, 50.";
    plan.steps = shares.map((weight) => ({ weight }));
  }
  const watched = draft.metrics.filter((m) => m.name.trim());
  plan.metrics = watched.map((m) => ({ name: m.name.trim(), direction: m.direction, ...(m.harm.trim() ? { harm: Number(m.harm) } : {}) }));
  if (watched.some((m) => m.harm.trim() && !(Number(m.harm) > 0))) return "A harm is a number above zero.";
  return plan;
}
