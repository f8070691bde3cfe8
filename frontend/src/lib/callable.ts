/** What the gateway can be asked for. */
import { useContext } from "react";
import { useQuery } from "@tanstack/react-query";
import { type ApiError, gateway } from "../api/client.ts";
import { ProjectContext } from "./nav.tsx";

/** The gateway's own list, so that only names that can be called are offered. */
export function useModels() {
  const project = useContext(ProjectContext);
  return useQuery<string[], ApiError>({
    queryKey: [project, "v1-models"],
    queryFn: async ({ signal }) => (await gateway<{ data: { id: string }[] }>("GET", "/v1/models", signal)).data.map((m) => m.id),
    staleTime: 10_000,
  });
}
