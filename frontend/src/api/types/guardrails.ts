/** Guardrails: policies, the guards that can be in them, and what they decided. */
export interface GuardConfig {
  kind: string;
  /** How verdicts name it; the kind when empty. */
  name: string;
  /** null: where the kind usually looks. */
  stage: string | null;
  /** null: what the kind usually does. */
  action: string | null;
  on_error: string;
  options: Record<string, unknown>;
}
export interface GuardRules {
  guards: GuardConfig[];
  /** Patterns of route names; one has to match. */
  routes: string[];
  /** Patterns of key ids or key names; one has to match. */
  keys: string[];
  order: number;
  record: string;
  description: string;
}
export interface GuardPolicy extends GuardRules {
  name: string;
  number: number;
  author: string;
  created_at: string;
}
export interface GuardKind {
  kind: string;
  /** The first is the usual one. */
  stages: string[];
  actions: string[];
  /** Which options it takes, in words. */
  options: string;
  /** Why it cannot be used, such as a package that is not there; else empty. */
  error: string;
}
export interface GuardVerdict {
  outcome: string;
  guard: string;
  rule: string;
  policy: string;
  stage: string;
  score: number;
  count: number;
  /** Keyed hashes of what was found, when the policy records them. */
  hashes: string[];
}
export interface GuardCheck {
  allowed: boolean;
  /** The text as the guards let it pass. */
  text: string | null;
  /** Why it is refused, as the caller would read it. */
  reason: string;
  verdicts: GuardVerdict[];
  /** What it was checked by. */
  policies: string[];
}
