/** Datasets, their versions and profiles. */
export interface Dataset {
  id: string;
  name: string;
  description: string;
  created_at: string;
  latest: number;
  rows: number;
}
export interface DatasetVersion {
  id: string;
  dataset: string;
  number: number;
  ref: string;
  hash: string;
  rows: number;
  splits: Record<string, number>;
  schema: { name: string; type: string }[];
  quarantined: number;
  removed: number;
  source: { name: string; format: string; sha256: string; size: number; encoding: string; rows: number };
  description: string;
  created_at: string;
  created_by: string;
}
export interface StepReport {
  step: string;
  rows_in: number;
  rows_out: number;
  changed: number;
  counts: Record<string, number>;
  examples: Record<string, unknown>[];
}
export interface ColumnProfile {
  name: string;
  type: string;
  missing: number;
  distinct: number;
  distinct_capped: boolean;
  near_constant: boolean;
  top: { value: string; count: number }[];
  characters?: Record<string, number>;
  words?: Record<string, number>;
  tokens?: Record<string, number>;
  numbers?: Record<string, number>;
  outliers: number;
}
export interface DatasetProfile {
  rows: number;
  exact_duplicates: number;
  columns: ColumnProfile[];
  labels: Record<string, Record<string, number>>;
  /** Column → how even its classes are: entropy 1 when all are equal. */
  balance?: Record<string, { classes: number; entropy: number; largest_to_smallest: number }>;
  text: {
    rows: number;
    languages: Record<string, number>;
    personal_data: Record<string, number>;
    rows_with_personal_data: number;
    near_duplicates: number;
    toxic_words?: Record<string, number>;
    rows_with_toxic_words?: number;
    toxic_words_per_1000?: number;
    topics?: { rows: number; share: number; terms: string[] }[];
  };
}
export interface DatasetDetail extends DatasetVersion {
  profile: DatasetProfile;
  recipe: unknown;
  recipe_report: StepReport[];
  card: string;
  tags?: string[];
  /** What was made from this version, nearest first. */
  consumers?: { kind: string; ref: string; role: string }[];
}
export interface DatasetRow {
  position: number;
  key: string;
  split: string;
  data: Record<string, unknown>;
}
export interface LeftOut {
  line: number;
  step: string;
  reason: string;
  excerpt: string;
  kept_line: number | null;
  similarity: number | null;
}
/** Names for versions. */
export interface DatasetTag {
  tag: string;
  number: number;
  changed_at: string;
  changed_by: string;
}
export interface RowExample {
  change: "added" | "removed" | "changed";
  key: unknown;
  fields?: string[] | null;
  before?: Record<string, unknown> | null;
  after?: Record<string, unknown> | null;
}
export interface DatasetDifference {
  before: string;
  after: string;
  added: number;
  removed: number;
  changed: number;
  unchanged: number;
  columns_added: string[];
  columns_removed: string[];
  columns_retyped: string[];
  /** Column → changed rows that differ in it. */
  fields: Record<string, number>;
  examples: RowExample[];
}
/** What a dataset's rows have to meet. */
export interface Expectations {
  dataset: string;
  /** 0 when nothing is expected. */
  revision: number;
  checks: Record<string, unknown>[];
  enforce: string;
  every_hours: number;
  created_at: string | null;
  created_by: string;
}
export interface CheckOutcome {
  check: Record<string, unknown>;
  label: string;
  action: string;
  met: boolean;
  failed: number;
  of: number;
  reason: string;
  examples: Record<string, unknown>[];
}
export interface CheckRun {
  id: string;
  /** The version; 0 for rows that were refused. */
  number: number;
  revision: number;
  reason: string;
  state: string;
  rows: number;
  quarantined: number;
  outcomes: CheckOutcome[];
  checked_at: string;
  checked_by: string;
}
