/** Prompts, their versions, labels and who uses them. */
export interface LabelMove {
  label: string;
  version: number;
  previous: number | null;
  actor: string;
  at: string;
  /** set, rollback or remove. */
  kind: string;
  note: string;
  approved_by: string;
}
export interface Prompt {
  id: string;
  name: string;
  description: string;
  tags: string[];
  versions: number;
  labels: Record<string, number>;
  /** Labels that move only with another person's approval. */
  protected: string[];
  created_at: string;
  history?: LabelMove[];
}
export interface Message {
  role: string;
  content: unknown;
}
export interface Variable {
  name: string;
  type: string;
  required: boolean;
  default: unknown;
  description: string;
}
export interface PromptBody {
  kind: "text" | "chat";
  text: string;
  messages: Message[];
  variables: Variable[];
  tools: unknown[];
  output_schema: unknown;
  settings: Record<string, unknown>;
}
export interface PromptVersion {
  id: string;
  prompt: string;
  number: number;
  ref: string;
  body: PromptBody;
  hash: string;
  note: string;
  author: string;
  created_at: string;
  /** Other prompts it includes, as it names them. */
  includes: string[];
}
export interface Rendered {
  ref: string;
  kind: "text" | "chat";
  text: string;
  messages: Message[];
  tools: unknown[];
  output_schema: unknown;
  settings: Record<string, unknown>;
}
export interface Change {
  field: string;
  pieces: { op: "equal" | "insert" | "delete"; text: string }[];
}
/** Somebody's wish to move a protected label. */
export interface LabelRequest {
  id: string;
  prompt: string;
  label: string;
  version: number;
  previous: number | null;
  state: "open" | "approved" | "rejected";
  note: string;
  asked_by: string;
  asker_id: string;
  asked_at: string;
  decided_by: string;
  decided_at: string | null;
  reason: string;
}
/** What a version did in a window of time. */
export interface PromptUsage {
  version: number;
  labels: string[];
  calls: number;
  errors: number;
  cost_usd: number;
  /** Calls whose price is not known: missing from the cost. */
  unpriced: number;
  p50_ms: number | null;
  p95_ms: number | null;
  score: number | null;
  feedback: number | null;
  scores: { origin: string; name: string; count: number; mean: number }[];
}
/** A version of another prompt that includes this one. */
export interface PromptUse {
  prompt: string;
  version: number;
  /** How it names this prompt. */
  reference: string;
  labels: string[];
}
/** Everything that relies on a prompt. */
export interface PromptUses {
  items: PromptUse[];
  next: string | null;
  /** Who calls a labelled version: a route, a key or an environment. */
  callers: { version: number; by: string; name: string; calls: number }[];
  /** What was made of a version, or measured with it. */
  made: { version: number; kind: string; ref: string; role: string }[];
}
