import { useContext } from "react";
import { useMutation, useQuery, useQueryClient, type UseQueryResult } from "@tanstack/react-query";
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
