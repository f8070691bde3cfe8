/** Models and their versions. */
export interface Model {
  id: string;
  name: string;
  description: string;
  versions: number;
  aliases: Record<string, number>;
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
export interface ModelVersionDetail extends ModelVersion {
  files: ModelFile[];
  card: string;
}
