/** What the deployment page reads out of a deployment. */
import type { Deployment, DeploymentDetail, Replica } from "../api/types.ts";

export interface ShownReplica extends Replica {
  id: string;
  /** Version and position, as people say it. */
  name: string;
  model: string;
  part: string;
  /** Port, GPUs and process. */
  place: string;
}

/** Every replica of every version, production's first. */
export function replicasOf(d: DeploymentDetail): ShownReplica[] {
  const parts = ["production", "canary", "previous", "retired"];
  const versions = [...d.versions].sort((a, b) => parts.indexOf(a.part) - parts.indexOf(b.part));
  return versions.flatMap((v) =>
    v.replicas.map((r) => ({
      ...r,
      id: r.id ?? `${v.number}.${r.position}`,
      name: `version ${v.number}, replica ${r.position}`,
      model: v.model,
      part: v.part,
      place: [r.port ? `port ${r.port}` : "", r.gpus?.length ? `GPU ${r.gpus.join(", ")}` : "", r.pid ? `pid ${r.pid}` : ""].filter(Boolean).join(", "),
    })),
  );
}

/** What each deployment takes now; those that take nothing are left out. Memory is null where no replica tells it. */
export function takenBy(deployments: Deployment[]): { name: string; replicas: number; memory: number | null }[] {
  return deployments
    .map((d) => {
      const replicas = d.versions.flatMap((v) => v.replicas);
      const told = replicas.flatMap((r) => r.memory_bytes ?? []);
      return { name: d.name, replicas: replicas.length, memory: told.length ? told.reduce((n, m) => n + m, 0) : null };
    })
    .filter((d) => d.replicas > 0);
}

/** A limit as it was typed; null for none. Throws an Error in words. */
export function limitOf(text: string, what: string, whole = true): number | null {
  if (text.trim() === "") return null;
  const n = Number(text);
  if (!Number.isFinite(n) || n < 0 || (whole && !Number.isInteger(n))) throw new Error(`${what} must be a ${whole ? "whole " : ""}number, 0 or above.`);
  return n;
}
