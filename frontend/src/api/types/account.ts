/** Who asks, keys, projects, the log of changes, and links between things. */
export interface Page<T> {
  items: T[];
  next: string | null;
}
export interface Me {
  id: string;
  name: string;
  role: string;
  project: string;
  version: string;
}
export interface Project {
  name: string;
}
export interface Key {
  id: string;
  name: string;
  role: string;
  project: string;
  any_project: boolean;
  /** Names it may call; empty means all. */
  models: string[];
  hint: string;
  created_at: string;
  expires_at?: string | null;
  revoked_at?: string | null;
}
export interface NewKey {
  id: string;
  key: string;
}
export interface LoopStage {
  count: number;
  active?: number;
  detail?: string | null;
  latest?: { ref: string; title: string; status?: string | null; at?: string | null } | null;
}
export interface Loop {
  address: string;
  first_trace_at: string | null;
  stages: Record<string, LoopStage | undefined>;
}
export interface Link {
  kind: string;
  ref: string;
  role: string;
}
export interface Audit {
  number: number;
  at: string;
  actor_id: string;
  actor_name: string;
  action: string;
  target: string;
  detail: Record<string, unknown>;
}
export interface Edge {
  child_kind: string;
  child_ref: string;
  parent_kind: string;
  parent_ref: string;
  role: string;
  created_at: string;
  /** What people call it, where the reference is an id. */
  child_name: string | null;
  parent_name: string | null;
}
/** Work that goes on in the background. */
export interface Job {
  id: string;
  kind: string;
  state: string;
  progress: Record<string, unknown> | null;
  result: Record<string, unknown> | null;
  error: string | null;
}
