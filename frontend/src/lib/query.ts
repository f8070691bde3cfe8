import { useContext } from "react";
import { useInfiniteQuery, useMutation, useQuery, useQueryClient, type UseQueryResult } from "@tanstack/react-query";
import { api, type ApiError, type Params } from "../api/client.ts";
import { ProjectContext } from "./nav.tsx";
import { toast } from "./toast.ts";

interface GetOptions<T> {
  enabled?: boolean;
  /** Milliseconds between refreshes, or a rule that looks at the data. */
  every?: number | false | ((data: T | undefined) => number | false);
  keep?: boolean;
  staleTime?: number;
}

export function useGet<T>(url: string, params?: Params, options: GetOptions<T> = {}): UseQueryResult<T, ApiError> {
  const project = useContext(ProjectContext);
  const { every } = options;
  return useQuery<T, ApiError>({
    queryKey: [project, url, params ?? {}],
    queryFn: ({ signal }) => api.get<T>(url, params, signal),
    enabled: options.enabled,
    staleTime: options.staleTime ?? 2_000,
    placeholderData: options.keep ? (old) => old : undefined,
    refetchInterval: typeof every === "function" ? (q) => every(q.state.data as T | undefined) : every,
  });
}

interface PagedOptions {
  /** Made when the question is asked, such as the window of a relative range. */
  now?: () => object;
  every?: number;
  enabled?: boolean;
}

/** Pages of a list, read on by cursor; the first page's `now` holds for all of them. */
export function usePages<P extends { next?: string | null }>(url: string, params: Params, { now = () => ({}), every, enabled }: PagedOptions = {}) {
  const project = useContext(ProjectContext);
  return useInfiniteQuery<P, ApiError, { pages: P[] }, unknown[], { cursor?: string; now: object } | null>({
    queryKey: [project, url, params],
    initialPageParam: null,
    queryFn: ({ pageParam, signal }) => api.get<P>(url, { ...params, ...(pageParam?.now ?? now()), cursor: pageParam?.cursor } as Params, signal),
    getNextPageParam: (last, _all, at) => (last.next ? { cursor: last.next, now: at?.now ?? now() } : null),
    placeholderData: (old) => old,
    enabled,
    refetchInterval: (q) => (every && (q.state.data?.pages.length ?? 0) <= 1 ? every : false),
  });
}

/** A change with its toast; every query of the page is read again afterwards. */
export function useAct<V, T = unknown>(act: (v: V) => Promise<T>, done?: string | ((t: T, v: V) => string | void), options: { /** The form says what went wrong. */ quiet?: boolean } = {}) {
  const client = useQueryClient();
  return useMutation<T, ApiError, V>({
    mutationFn: act,
    onSuccess: (result, v) => {
      const said = typeof done === "function" ? done(result, v) : done;
      if (said) toast(said);
      return client.invalidateQueries();
    },
    onError: (error) => options.quiet || toast(`${error.message} ${error.hint}`.trim(), "error"),
  });
}
