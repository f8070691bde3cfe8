/** One door to the management API: project header, problem documents as errors, 401 as "sign in". */
export class ApiError extends Error {
  readonly status: number;
  readonly hint: string;
  readonly requestId: string;
  /** The machine's word for it, such as `content_filter`; empty when there is none. */
  readonly code: string;
  /** What else the problem document says, such as where in a query the mistake is. */
  readonly details: Record<string, unknown>;
  constructor(status: number, message: string, hint = "", requestId = "", code = "", details: Record<string, unknown> = {}) {
    super(message);
    this.status = status;
    this.hint = hint;
    this.requestId = requestId;
    this.code = code;
    this.details = details;
  }
}

export type Params = Record<string, string | number | boolean | null | undefined>;

let project = "default";
export function setProject(name: string): void {
  project = name;
}
export function currentProject(): string {
  return project;
}

export function query(params?: Params): string {
  const out = new URLSearchParams();
  for (const [key, value] of Object.entries(params ?? {})) if (value != null && value !== "") out.set(key, String(value));
  const text = out.toString();
  return text ? `?${text}` : "";
}

/** An address may have a question of its own, such as one with a name twice. */
function withQuery(url: string, params?: Params): string {
  const more = query(params);
  return url.includes("?") ? url + more.replace("?", "&") : url + more;
}

/** Path segments may hold any character: every variable part goes through here. */
export function path(strings: TemplateStringsArray, ...parts: (string | number)[]): string {
  return strings.reduce((all, s, i) => all + s + (i < parts.length ? encodeURIComponent(String(parts[i])) : ""), "");
}

export async function errorFrom(response: Response): Promise<ApiError> {
  const requestId = response.headers.get("x-request-id") ?? "";
  const text = await response.text().catch(() => "");
  try {
    const body = JSON.parse(text);
    // RFC 9457 (management) or the OpenAI shape (gateway).
    const inner = typeof body.error === "object" && body.error ? body.error : body;
    const message = inner.detail ?? inner.message ?? inner.title;
    const said = typeof message === "string" ? message : JSON.stringify(message ?? body);
    return new ApiError(response.status, said, typeof inner.hint === "string" ? inner.hint : "", requestId, typeof inner.code === "string" ? inner.code : "", typeof inner.errors === "object" && inner.errors ? inner.errors : inner);
  } catch {
    return new ApiError(response.status, `The server answered ${response.status} ${response.statusText}`.trim(), text.slice(0, 200), requestId);
  }
}

async function ask(method: string, url: string, body?: unknown, signal?: AbortSignal, accept = "application/json"): Promise<Response> {
  const headers: Record<string, string> = { accept, "x-penstock-project": project };
  let payload: BodyInit | undefined;
  if (body instanceof Blob) payload = body;
  else if (body !== undefined) {
    headers["content-type"] = "application/json";
    payload = JSON.stringify(body);
  }
  let response: Response;
  try {
    response = await fetch(`/api/v1${url}`, { method, headers, body: payload, signal, credentials: "same-origin" });
  } catch (cause) {
    if (signal?.aborted) throw cause;
    throw new ApiError(0, "Penstock cannot be reached.", "Is `penstock up` still running? This page tries again by itself.");
  }
  if (!response.ok) {
    const failure = await errorFrom(response);
    if (failure.status === 401) window.dispatchEvent(new Event("penstock:signed-out"));
    throw failure;
  }
  return response;
}

async function send<T>(method: string, url: string, body?: unknown, signal?: AbortSignal): Promise<T> {
  const response = await ask(method, url, body, signal);
  if (response.status === 204) return undefined as T;
  return (await response.json()) as T;
}

export const api = {
  get: <T>(url: string, params?: Params, signal?: AbortSignal) => send<T>("GET", withQuery(url, params), undefined, signal),
  /** An answer that is text as it stands, such as a manifest. */
  text: async (url: string, params?: Params, signal?: AbortSignal) => (await ask("GET", withQuery(url, params), undefined, signal, "text/plain")).text(),
  /** A file as it stands. */
  bytes: async (url: string, params?: Params, signal?: AbortSignal) => (await ask("GET", withQuery(url, params), undefined, signal, "*/*")).arrayBuffer(),
  post: <T>(url: string, body?: unknown) => send<T>("POST", url, body ?? {}),
  patch: <T>(url: string, body?: unknown) => send<T>("PATCH", url, body ?? {}),
  put: <T>(url: string, body?: unknown) => send<T>("PUT", url, body ?? {}),
  del: <T>(url: string) => send<T>("DELETE", url),
};

/** A call of the gateway itself, below /v1, with the session. */
export async function gateway<T>(method: string, url: string, signal?: AbortSignal): Promise<T> {
  const response = await fetch(url, { method, headers: { accept: "application/json", "x-penstock-project": project }, signal, credentials: "same-origin" });
  if (!response.ok) throw await errorFrom(response);
  return (await response.json()) as T;
}
