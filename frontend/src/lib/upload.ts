/** A file on its way to a dataset: what it is called there, and a request that says how far it is. */
import { ApiError, currentProject, type Params, query } from "../api/client.ts";

/** What the server can read, by a file's ending. */
export const ENDINGS = [".csv", ".tsv", ".jsonl", ".json", ".parquet", ".arrow", ".txt", ".md", ".html", ".pdf", ".gz", ".zst"];

/** A dataset's name from a file's: `My Tickets (2).csv.gz` → `my-tickets-2`; empty when nothing is left of it. */
export function nameFrom(file: string): string {
  let stem = file.toLowerCase();
  for (let ending = ENDINGS.find((e) => stem.endsWith(e)); ending; ending = ENDINGS.find((e) => stem.endsWith(e))) stem = stem.slice(0, -ending.length);
  return stem.replace(/[^a-z0-9._-]+/g, "-").replace(/^[-._]+|[-._]+$/g, "");
}

/** Post a file as it is; `watch` hears the share that was sent. Aborting leaves nothing on the server. */
export function sendFile<T>(url: string, params: Params, file: Blob, watch: (share: number) => void, signal?: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open("POST", `/api/v1${url}${query(params)}`);
    request.setRequestHeader("accept", "application/json");
    request.setRequestHeader("content-type", "application/octet-stream");
    request.setRequestHeader("x-penstock-project", currentProject());
    request.upload.onprogress = (e) => e.lengthComputable && e.total > 0 && watch(e.loaded / e.total);
    request.onerror = () => reject(new ApiError(0, "Penstock cannot be reached.", "Is `penstock up` still running?"));
    request.onabort = () => reject(new ApiError(0, "Stopped: nothing was registered."));
    request.onload = () => {
      if (request.status === 401) window.dispatchEvent(new Event("penstock:signed-out"));
      const answer = read(request.responseText);
      if (request.status < 400 && answer) return resolve(answer as T);
      reject(new ApiError(request.status, String(answer?.detail ?? answer?.title ?? `The server answered ${request.status}`), String(answer?.hint ?? "")));
    };
    signal?.addEventListener("abort", () => request.abort(), { once: true });
    request.send(file);
  });
}

function read(text: string): Record<string, unknown> | null {
  try {
    return JSON.parse(text) as Record<string, unknown>;
  } catch {
    return null; // Not from Penstock, such as a proxy's page: its status is said instead.
  }
}
