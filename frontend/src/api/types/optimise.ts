/** Smaller and quicker variants of a model version, and prompts that were improved by search. */
export interface VariantQuality {
  metric: string;
  value: number;
  low: number | null;
  high: number | null;
  n: number;
  higher_is_better: boolean;
  eval_run: string;
  delta: number | null;
  delta_low: number | null;
  delta_high: number | null;
  /** The smallest true difference so many samples would have shown. */
  detectable: number | null;
  worse: boolean | null;
}
/** One variant, or the parent at position 0; figures are null until it was measured. */
export interface Variant {
  position: number;
  method: string;
  options: Record<string, unknown>;
  version: string | null;
  state: string;
  size_bytes: number | null;
  load_s: number | null;
  memory_bytes: number | null;
  tokens_per_s: number | null;
  first_token_s: number | null;
  /** What it was computed on, as the library itself says. */
  provider: string;
  quality: VariantQuality | null;
  error: string | null;
}
export interface Optimisation {
  id: string;
  parent: string;
  state: string;
  baseline: Variant;
  variants: Variant[];
  chosen: string | null;
  reason: string;
  error: string | null;
  author: string;
  created_at: string;
}
export interface VariantMethod {
  name: string;
  text: string;
  /** The option that a bare value means. */
  main: string;
  /** JSON Schema of the options. */
  options: Record<string, unknown>;
}
export interface Standing {
  value: number;
  n: number;
  low: number | null;
  high: number | null;
}
export interface PromptCandidate {
  id: string;
  parent: string | null;
  parents?: string[];
  /** start, few_shot, rewrite or cross. */
  method: string;
  model?: string;
  /** On the held-out rows; null when it was not measured there. */
  score: number | null;
  low: number | null;
  high: number | null;
  n?: number | null;
  cost_usd: number | null;
  cost?: Standing | null;
  gain?: { difference: number; low: number | null; high: number | null; p_adjusted: number; verdict: string } | null;
  selection?: Standing | null;
  dropped?: boolean;
  note?: string;
  instruction?: string;
  shots?: number;
  prompt_version?: string | null;
}
export interface PromptOptimisation {
  id: string;
  prompt: string;
  dataset: string;
  metric: string;
  state: string;
  stage?: string;
  error?: string | null;
  budget: { calls: number; cost_usd: number | null };
  spent: { calls: number; cost_usd: number; lost: number };
  best: string | null;
  pareto?: string[];
  /** USD, tokens, or empty when costs are not known. */
  cost_unit?: string;
  accepted: { candidate?: string; prompt_version?: string } | null;
  created_at: string;
}
export interface PromptOptimisationDetail extends PromptOptimisation {
  candidates: PromptCandidate[];
  pareto: string[];
}
