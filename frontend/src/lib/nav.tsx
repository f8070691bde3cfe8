/** Addresses: every search value is a plain string, and the project rides along in every link. */
import { createContext, type AnchorHTMLAttributes, type MouseEvent, useCallback, useContext } from "react";
import { useLocation, useRouter } from "@tanstack/react-router";

export type Search = Record<string, string>;

export function parseSearch(text: string): Search {
  return Object.fromEntries(new URLSearchParams(text));
}

export function stringifySearch(search: Record<string, unknown>): string {
  const out = new URLSearchParams();
  for (const [key, value] of Object.entries(search)) if (value != null && value !== "") out.set(key, String(value));
  const text = out.toString();
  return text ? `?${text}` : "";
}

export const ProjectContext = createContext("default");

function withProject(href: string, project: string): string {
  if (project === "default" || !href.startsWith("/")) return href;
  const [before = "", hash] = href.split("#");
  const [path, search = ""] = before.split("?");
  const params = new URLSearchParams(search);
  if (!params.has("project")) params.set("project", project);
  return `${path}?${params}${hash ? `#${hash}` : ""}`;
}

export function useGo(): (href: string, options?: { replace?: boolean }) => void {
  const router = useRouter();
  const project = useContext(ProjectContext);
  return useCallback(
    (href, options) => {
      const to = withProject(href, project);
      if (options?.replace) router.history.replace(to);
      else router.history.push(to);
    },
    [router, project],
  );
}

/** The address's search part and a way to patch it; an undefined or empty value removes the name. */
export function useSearch(): [Search, (patch: Record<string, string | undefined>, options?: { replace?: boolean }) => void] {
  const router = useRouter();
  const location = useLocation();
  const search = location.search as Search;
  const patch = useCallback(
    (change: Record<string, string | undefined>, options?: { replace?: boolean }) => {
      const now = router.state.location;
      const next = stringifySearch({ ...parseSearch(window.location.search), ...change });
      const to = `${now.pathname}${next}`;
      if (options?.replace) router.history.replace(to);
      else router.history.push(to);
    },
    [router],
  );
  return [search, patch];
}

type AProps = Omit<AnchorHTMLAttributes<HTMLAnchorElement>, "href"> & { href: string };

/** An in-app link: a real anchor (middle click, copy address) that moves without a page load. */
export function A({ href, onClick, ...rest }: AProps) {
  const router = useRouter();
  const project = useContext(ProjectContext);
  const to = withProject(href, project);
  const click = (event: MouseEvent<HTMLAnchorElement>) => {
    onClick?.(event);
    if (event.defaultPrevented || event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey || rest.target) return;
    event.preventDefault();
    router.history.push(to);
  };
  return <a {...rest} href={to} onClick={click} />;
}
