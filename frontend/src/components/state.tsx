/** What a page shows when it has no data: not yet, none, or not reachable. */
import type { ReactNode } from "react";
import type { ErrorComponentProps } from "@tanstack/react-router";
import type { UseQueryResult } from "@tanstack/react-query";
import type { ApiError } from "../api/client.ts";
import { A } from "../lib/nav.tsx";

export function Failure({ error, again }: { error: ApiError; again?: () => void }) {
  return (
    <div className="state" role="alert">
      <h2>{error.status === 404 ? "Not found" : error.status === 403 ? "Not allowed" : "Something went wrong"}</h2>
      <p>{error.message}</p>
      {error.hint && <p className="muted">{error.hint}</p>}
      {error.requestId && <p className="muted mono">request {error.requestId}</p>}
      {again && (
        <button type="button" className="button" onClick={again}>
          Try again
        </button>
      )}
    </div>
  );
}

/** Rows of grey bars with the height of what will come, so that nothing jumps. */
export function Loading({ rows = 8, height }: { rows?: number; height?: number }) {
  return (
    <div className="skeleton" role="status" aria-label="Loading" style={height ? { height } : undefined}>
      {Array.from({ length: rows }, (_, i) => (
        <span key={i} style={{ width: `${92 - ((i * 37) % 45)}%` }} />
      ))}
    </div>
  );
}

export function Empty({ title, children }: { title: string; children?: ReactNode }) {
  return (
    <div className="state">
      <h2>{title}</h2>
      {children}
    </div>
  );
}

/** Draws `children(data)` once data is there; the other three states are the same on every page. */
export function Ready<T>({ query, rows, children }: { query: UseQueryResult<T, ApiError>; rows?: number; children: (data: T) => ReactNode }) {
  if (query.data !== undefined) return <>{children(query.data)}</>;
  if (query.error) return <Failure error={query.error} again={() => void query.refetch()} />;
  return <Loading rows={rows} />;
}

export function Missing() {
  return (
    <div className="page">
      <Empty title="There is no such page">
        <p>
          <A href="/">Go to the home page</A>
        </p>
      </Empty>
    </div>
  );
}

export function Crash({ error }: ErrorComponentProps) {
  return (
    <div className="page">
      <div className="state" role="alert">
        <h2>This page stopped working</h2>
        <p className="mono">{String(error instanceof Error ? error.message : error)}</p>
        <p>
          <button type="button" className="button" onClick={() => location.reload()}>
            Load it again
          </button>
        </p>
      </div>
    </div>
  );
}
