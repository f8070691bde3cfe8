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
  numbers?: Record<string, number>;
  outliers: number;
}
export interface DatasetProfile {
  rows: number;
  exact_duplicates: number;
  columns: ColumnProfile[];
  labels: Record<string, Record<string, number>>;
  text: {
    rows: number;
    languages: Record<string, number>;
    personal_data: Record<string, number>;
    rows_with_personal_data: number;
    near_duplicates: number;
  };
}
export interface DatasetDetail extends DatasetVersion {
  profile: DatasetProfile;
  recipe: unknown;
  recipe_report: StepReport[];
  card: string;
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
