/** What the management API answers. Times are ISO-8601 UTC; `_ns` are epoch nanoseconds. */
export * from "./types/account.ts";
export * from "./types/traces.ts";
export * from "./types/prompts.ts";
export * from "./types/datasets.ts";
export * from "./types/training.ts";
export * from "./types/evals.ts";
export * from "./types/registry.ts";
export * from "./types/serving.ts";
export * from "./types/gateway.ts";
export * from "./types/prices.ts";
export * from "./types/cache.ts";
export * from "./types/batches.ts";
export * from "./types/limits.ts";
export * from "./types/guardrails.ts";
export * from "./types/queues.ts";
export * from "./types/releases.ts";
export * from "./types/optimise.ts";
