/** Models and their versions. */
export interface Model {
  id: string;
  name: string;
  description: string;
  versions: number;
  aliases: Record<string, number>;
  tags?: string[];
  created_at: string;
}
export interface ModelVersion {
  id: string;
  model: string;
  number: number;
  ref: string;
  kind: string;
  base: string | null;
  digest: string;
  size: number;
  stage: string;
  metrics: Record<string, unknown>;
  author: string;
  created_at: string;
}
export interface ModelDetail extends Model {
  items: ModelVersion[];
  next: string | null;
}
export interface ModelFile {
  path: string;
  size: number;
  sha256: string;
}
/** A file that the scan has something to say about. */
export interface ScannedFile {
  path: string;
  format: string;
  /** What a pickle would import when it is loaded. */
  imports: string[];
  dangerous: string[];
}
export interface ModelVersionDetail extends ModelVersion {
  files: ModelFile[];
  card: string;
  /** Whether somebody wrote the card; else it is made from evidence. */
  card_edited?: boolean;
  licence?: string;
  intended_use?: string;
  signature?: Record<string, unknown> | null;
  scan?: Record<string, unknown> | null;
  manifest?: Record<string, unknown> | null;
  /** Whether the signed manifest holds against the recorded files. */
  verdict?: { signed: boolean; holds: boolean; key_id: string; problems: string[] };
  evidence?: { kind: string; ref: string; role: string }[];
  stage_history?: StageMove[];
}
export interface StageRule {
  stage: string;
  /** The model it is for; empty: every model without a rule of its own. */
  model?: string;
  after?: string[];
  evaluations?: { suite: string; metric?: string; min?: number | null; max?: number | null; bound?: string; gate?: boolean }[];
  papers?: string[];
  approvals?: number;
  role?: string;
  alone?: boolean;
}
export interface StageRequest {
  id: string;
  model: string;
  version: number;
  stage: string;
  previous: string;
  state: string;
  comment: string;
  asked_by: string;
  asked_at: string;
  approvals: { by: string; at: string; reason?: string }[];
  decided_by?: string;
  decided_at?: string | null;
  reason?: string;
}
/** Whether a version may move into a stage now, and what is missing. */
export interface StageTransition {
  stage: string;
  reasons: string[];
  approvals: number;
}
export interface StageMove {
  number: number;
  stage: string;
  previous: string;
  actor: string;
  at: string;
  comment?: string;
  approved_by?: string[];
}
export interface LineageMap {
  nodes: { kind: string; ref: string; label: string }[];
  /** Ends are `kind:ref`. */
  edges: { from: string; to: string; role: string }[];
  truncated?: boolean;
}
