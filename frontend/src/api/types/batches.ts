/** Batches as OpenAI's API shows them; times are seconds since the epoch. */
export interface Batch {
  id: string;
  endpoint: string;
  status: string;
  input_file_id: string;
  output_file_id: string | null;
  error_file_id: string | null;
  created_at: number;
  expires_at: number;
  request_counts: { total: number; completed: number; failed: number };
  errors: { data: { message?: string; line?: number | null }[] } | null;
  metadata: Record<string, string> | null;
}
export interface BatchList {
  data: Batch[];
  has_more: boolean;
  last_id?: string | null;
}
