/** Rate limits and budgets. */
export interface Limits {
  requests_per_minute: number | null;
  input_tokens_per_minute: number | null;
  output_tokens_per_minute: number | null;
  concurrent: number | null;
}
export interface NamedLimits {
  kind: string;
  subject: string;
  limits: Limits;
  updated_at: string;
}
export interface BudgetState {
  subject: string;
  period: string;
  spent_usd: number;
  reserved_usd: number;
  left_usd: number;
  aside_usd: Record<string, number>;
}
export interface BudgetAlert {
  id: string;
  at: string;
  text: string;
  fraction: number;
  delivery: string;
  error: string | null;
}
export interface Webhook {
  url: string | null;
  updated_at: string | null;
}
export interface Budget {
  name: string;
  usd: number;
  period: string;
  kind: string;
  subject: string;
  soft: number[];
  hard: boolean;
  state: BudgetState;
  updated_at: string | null;
}
