/** What a project keeps of its traces, samples and masks: the policies' document as a form. */
import type { KeyRule, PatternRule, Policies, SamplingRule } from "../api/types.ts";

export interface SamplingDraft {
  name: string;
  /** Per cent that stay. */
  percent: string;
  /** As `route=health environment=production`. */
  where: string;
  errors: boolean;
  judged: boolean;
  slower: string;
  costlier: string;
  /** As `thumb=0.5`. */
  below: string;
}

export interface KeepingDraft {
  days: string;
  traces: string;
  sampling: SamplingDraft[];
  /** Kinds of the detector `pii`, by commas; null when it is off. */
  pii: string | null;
  secrets: boolean;
  patterns: PatternRule[];
  keys: KeyRule[];
}

export const BLANK_SAMPLING: SamplingDraft = { name: "", percent: "10", where: "", errors: true, judged: true, slower: "", costlier: "", below: "" };
/** What a rule may be about. */
export const WHERE = ["route", "environment", "service", "model", "provider", "kind", "prompt", "tag", "user", "session", "key"];
export const PII_KINDS = ["email", "iban", "card", "ssn", "ip", "phone", "secret"];

const said = (n: number | null | undefined): string => (n == null ? "" : String(n));
const pairsText = (pairs: Record<string, string | number> | undefined): string =>
  Object.entries(pairs ?? {})
    .map(([k, v]) => `${k}=${/\s/.test(String(v)) ? `"${v}"` : v}`)
    .join(" ");

/** `route=health name="two words"` as pairs; throws an Error in words. */
export function pairsOf(text: string, what: string): Record<string, string> {
  const found: Record<string, string> = {};
  const rest = text.replace(/([\w.:-]+)=(?:"([^"]*)"|(\S+))/g, (_, name: string, quoted: string | undefined, word: string | undefined) => {
    found[name] = quoted ?? word ?? "";
    return "";
  });
  if (rest.trim()) throw new Error(`“${rest.trim()}” in ${what} is not written as name=value.`);
  return found;
}

export function keepingOf(policies: Policies): KeepingDraft {
  const { retention, sampling, masking } = policies;
  const pii = masking.detectors.pii as { kinds?: string[] } | undefined;
  return {
    days: said(retention.days),
    traces: said(retention.traces),
    sampling: sampling.map((r) => ({
      name: r.name,
      percent: String(Math.round(r.rate * 1e8) / 1e6),
      where: pairsText(r.where),
      errors: r.keep?.errors ?? false,
      judged: r.keep?.judged ?? false,
      slower: said(r.keep?.slower_than_ms),
      costlier: said(r.keep?.costlier_than_usd),
      below: pairsText(r.keep?.scores_below),
    })),
    pii: pii ? (pii.kinds ?? []).join(", ") : null,
    secrets: "secrets" in masking.detectors,
    patterns: masking.patterns.map((p) => ({ ...p, replacement: p.replacement ?? null })),
    keys: masking.keys,
  };
}

function whole(text: string, what: string): number | null {
  if (text.trim() === "") return null;
  const n = Number(text);
  if (!Number.isInteger(n) || n < 0) throw new Error(`${what} must be a whole number, 0 or above.`);
  return n;
}

function amount(text: string, what: string): number | null {
  if (text.trim() === "") return null;
  const n = Number(text);
  if (!Number.isFinite(n) || n < 0) throw new Error(`${what} must be a number, 0 or above.`);
  return n;
}

function samplingOf(draft: SamplingDraft, at: number): SamplingRule {
  const name = draft.name.trim();
  if (!name) throw new Error(`Rule ${at + 1} needs a name.`);
  const percent = amount(draft.percent, `The share of ${name}`);
  if (percent === null || percent > 100) throw new Error(`The share of ${name} lies between 0 and 100 %.`);
  const where = pairsOf(draft.where, `“where” of ${name}`);
  const unknown = Object.keys(where).find((k) => !WHERE.includes(k));
  if (unknown) throw new Error(`${name} cannot look at ${unknown}: there are ${WHERE.join(", ")}.`);
  const below = Object.fromEntries(Object.entries(pairsOf(draft.below, `the scores of ${name}`)).map(([k, v]) => [k, Number(v)]));
  const bad = Object.entries(below).find(([, v]) => !Number.isFinite(v));
  if (bad) throw new Error(`The score ${bad[0]} of ${name} must be a number.`);
  const keep = { errors: draft.errors, judged: draft.judged, slower_than_ms: amount(draft.slower, `The duration of ${name}`), costlier_than_usd: amount(draft.costlier, `The cost of ${name}`), scores_below: below };
  const tail = keep.errors || keep.judged || keep.slower_than_ms !== null || keep.costlier_than_usd !== null || Object.keys(below).length > 0;
  return { name, rate: percent / 100, where, keep: tail ? keep : null };
}

/** The document that is sent: detectors that this form does not know stay as they are. Throws an Error in words. */
export function policiesOf(draft: KeepingDraft, now: Policies): Policies {
  const { pii: _pii, secrets, ...others } = now.masking.detectors;
  const kinds = (draft.pii ?? "").split(/[,\s]+/).filter(Boolean);
  const detectors: Record<string, Record<string, unknown>> = { ...others };
  if (draft.pii !== null) detectors.pii = { ...(now.masking.detectors.pii ?? {}), ...(kinds.length ? { kinds } : {}) };
  if (draft.pii !== null && !kinds.length) delete detectors.pii!.kinds;
  if (draft.secrets) detectors.secrets = secrets ?? {};
  draft.patterns.forEach((p, i) => {
    if (!p.name.trim() || !p.pattern) throw new Error(`Pattern ${i + 1} needs a name and an expression.`);
  });
  draft.keys.forEach((k, i) => {
    if (!k.key.trim()) throw new Error(`Key ${i + 1} needs a name, such as *password*.`);
  });
  return {
    retention: { days: whole(draft.days, "The days"), traces: whole(draft.traces, "The number of traces") },
    sampling: draft.sampling.map(samplingOf),
    masking: { detectors, patterns: draft.patterns.map((p) => ({ name: p.name.trim(), pattern: p.pattern, replacement: p.replacement || null })), keys: draft.keys.map((k) => ({ key: k.key.trim(), action: k.action })) },
  };
}

/** What holds, in words. */
export function kept(n: number | null | undefined, unit: string): string {
  return n == null || n === 0 ? "all" : `${n.toLocaleString("en-US")} ${unit}`;
}
