/** What routes keep of their answers. */
export interface CachePolicy {
  route: string;
  mode: "exact" | "semantic";
  ttl: number;
  scope: "key" | "project";
  max_entry_kb: number;
  threshold: number;
  embedder: { provider: string; model: string };
  updated_at: string;
}
export interface CacheStats {
  entries: number;
  bytes: number;
  /** Counters of the web process that answers; null where no gateway runs. */
  process: Record<string, number> | null;
}
