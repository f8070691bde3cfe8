/** Prompts and their versions. */
export interface Prompt {
  id: string;
  name: string;
  description: string;
  tags: string[];
  versions: number;
  labels: Record<string, number>;
  created_at: string;
  history?: { label: string; version: number; previous: number | null; actor: string; at: string }[];
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
}
export interface Rendered {
  ref: string;
  kind: "text" | "chat";
  text: string;
  messages: Message[];
  settings: Record<string, unknown>;
}
export interface Change {
  field: string;
  pieces: { op: "equal" | "insert" | "delete"; text: string }[];
}
