/** The frame around every page: navigation, project, palette, help, theme, notices, and the door. */
import { lazy, type ReactNode, Suspense, useContext, useEffect, useRef, useState } from "react";
import { Outlet, useLocation } from "@tanstack/react-router";
import { setProject } from "../api/client.ts";
import type { Me } from "../api/types.ts";
import { useKeys } from "../lib/keys.ts";
import { A, ProjectContext, useGo, useSearch, type Search } from "../lib/nav.tsx";
import { useGet } from "../lib/query.ts";
import { dismiss, useToasts } from "../lib/toast.ts";
import { Icon } from "./icons.tsx";
import { Help } from "./help.tsx";
import { Palette } from "./palette.tsx";
import { Failure, Loading } from "./state.tsx";

export const PLACES: { key: string; label: string; href: string; icon: string; group: string }[] = [
  { key: "h", label: "Home", href: "/", icon: "home", group: "" },
  { key: "t", label: "Traces", href: "/traces", icon: "traces", group: "Observe" },
  { key: "q", label: "Sessions", href: "/sessions", icon: "sessions", group: "Observe" },
  { key: "w", label: "Users", href: "/users", icon: "users", group: "Observe" },
  { key: "f", label: "Dashboards", href: "/dashboards", icon: "dashboards", group: "Observe" },
  { key: "z", label: "Logs", href: "/logs", icon: "logs", group: "Observe" },
  { key: "1", label: "Metrics", href: "/signals", icon: "metrics", group: "Observe" },
  { key: "o", label: "Routes", href: "/gateway", icon: "routes", group: "Gateway" },
  { key: "v", label: "Providers", href: "/gateway/providers", icon: "providers", group: "Gateway" },
  { key: "k", label: "Keys", href: "/gateway/keys", icon: "keys", group: "Gateway" },
  { key: "l", label: "Limits & budgets", href: "/gateway/budgets", icon: "budgets", group: "Gateway" },
  { key: "n", label: "Spend", href: "/gateway/spend", icon: "spend", group: "Gateway" },
  { key: "i", label: "Prices", href: "/gateway/prices", icon: "prices", group: "Gateway" },
  { key: "c", label: "Cache", href: "/gateway/cache", icon: "cache", group: "Gateway" },
  { key: "u", label: "Guardrails", href: "/gateway/guardrails", icon: "guardrails", group: "Gateway" },
  { key: "b", label: "Batches", href: "/gateway/batches", icon: "batches", group: "Gateway" },
  { key: "a", label: "Playground", href: "/playground", icon: "playground", group: "Build" },
  { key: "p", label: "Prompts", href: "/prompts", icon: "prompts", group: "Build" },
  { key: "d", label: "Datasets", href: "/datasets", icon: "datasets", group: "Build" },
  { key: "j", label: "Annotation", href: "/annotation", icon: "annotation", group: "Build" },
  { key: "r", label: "Training", href: "/training", icon: "training", group: "Improve" },
  { key: "z", label: "Experiments", href: "/experiments", icon: "experiments", group: "Improve" },
  { key: "2", label: "Pipelines", href: "/pipelines", icon: "pipelines", group: "Improve" },
  { key: "e", label: "Evaluations", href: "/evaluations", icon: "evaluations", group: "Improve" },
  { key: "m", label: "Models", href: "/models", icon: "models", group: "Ship" },
  { key: "y", label: "Deployments", href: "/deployments", icon: "deployments", group: "Ship" },
  { key: "x", label: "Releases", href: "/releases", icon: "releases", group: "Ship" },
  { key: "s", label: "Settings", href: "/settings", icon: "settings", group: "Admin" },
];

/** Whether a page belongs to a place: routes are listed at /gateway, beside which the others live. */
function within(path: string, href: string): boolean {
  if (href === "/gateway") return path === href || path === "/gateway/route";
  return path === href || (href !== "/" && path.startsWith(`${href}/`));
}

function Nav({ path }: { path: string }) {
  const groups = [...new Set(PLACES.map((p) => p.group))];
  return (
    <nav className="nav" aria-label="Main">
      {groups.map((group) => (
        <div key={group} className="nav-group">
          {group && <div className="nav-title">{group}</div>}
          {PLACES.filter((p) => p.group === group).map((p) => {
            const here = within(path, p.href);
            return (
              <A key={p.href} href={p.href} aria-current={here ? "page" : undefined} title={p.label}>
                <Icon name={p.icon} />
                <span>{p.label}</span>
              </A>
            );
          })}
        </div>
      ))}
    </nav>
  );
}

const ProjectMenu = lazy(() => import("./menus.tsx").then((m) => ({ default: m.ProjectMenu })));
const UserMenu = lazy(() => import("./menus.tsx").then((m) => ({ default: m.UserMenu })));

/** A menu's button; the menu itself, a sixth of the script, is only fetched when the button is first used. */
function Later({ label, children, menu }: { label: string; children: ReactNode; menu: ReactNode }) {
  const [used, setUsed] = useState(false);
  const button = (
    <button type="button" className="switch" aria-label={label} aria-haspopup="menu" aria-expanded="false" onClick={() => setUsed(true)}>
      {children}
    </button>
  );
  return used ? <Suspense fallback={button}>{menu}</Suspense> : button;
}

function Toasts() {
  const toasts = useToasts();
  return (
    <div className="toasts" role="status" aria-live="polite">
      {toasts.map((t) => (
        <div key={t.id} className={`toast ${t.tone}`}>
          <span>{t.text}</span>
          <button type="button" className="icon-button" aria-label="Dismiss" onClick={() => dismiss(t.id)}>
            <svg viewBox="0 0 16 16" aria-hidden="true">
              <path d="M4 4l8 8M12 4l-8 8" />
            </svg>
          </button>
        </div>
      ))}
    </div>
  );
}

/** `g` and then a letter within a second. */
function useJumps(go: (href: string) => void): void {
  const armed = useRef(-Infinity);
  const keys: Record<string, (e: KeyboardEvent) => void> = {
    g: () => {
      armed.current = performance.now();
    },
  };
  for (const place of PLACES)
    keys[place.key] = (e) => {
      if (performance.now() - armed.current > 1000) return;
      armed.current = -Infinity;
      e.preventDefault();
      go(place.href);
    };
  useKeys(keys);
}

function Inside() {
  const location = useLocation();
  const project = useContext(ProjectContext);
  const go = useGo();
  const [palette, setPalette] = useState(false);
  const [help, setHelp] = useState(false);
  const main = useRef<HTMLElement>(null);
  const me = useGet<Me>("/me", undefined, { staleTime: 60_000 });
  useKeys({
    "mod+k": (e) => {
      e.preventDefault();
      setPalette(true);
    },
    "?": () => setHelp(true),
  });
  useJumps(go);
  useEffect(() => {
    const out = () => {
      const next = window.location.pathname + window.location.search;
      if (window.location.pathname !== "/signin") go(`/signin${next === "/" ? "" : `?next=${encodeURIComponent(next)}`}`, { replace: true });
    };
    window.addEventListener("penstock:signed-out", out);
    return () => window.removeEventListener("penstock:signed-out", out);
  }, [go]);
  useEffect(() => {
    if (main.current) main.current.scrollTop = 0;
  }, [location.pathname]);
  return (
    <div className="shell">
      <a className="skip" href="#main">
        Skip to the content
      </a>
      <aside className="side" aria-label="Sidebar">
        <A className="brand" href="/" aria-label="Penstock, home">
          <img src="/favicon.svg" alt="" width="22" height="22" />
          <span>Penstock</span>
        </A>
        <Later label={`Project: ${project}`} menu={<ProjectMenu project={project} />}>
          <span className="ellipsis">{project}</span>
          <Icon name="chevron" />
        </Later>
        <button type="button" className="find" onClick={() => setPalette(true)}>
          <Icon name="search" />
          <span className="find-text">Jump to…</span>
          <kbd aria-hidden="true">{/Mac/.test(navigator.platform) ? "⌘K" : "Ctrl K"}</kbd>
        </button>
        <Nav path={location.pathname} />
        <div className="side-foot">
          {me.data ? (
            <Later label={`Account: ${me.data.name}`} menu={<UserMenu me={me.data} />}>
              <Icon name="user" />
              <span className="ellipsis">{me.data.name}</span>
            </Later>
          ) : (
            <span className="switch" />
          )}
          <button type="button" className="icon-button" aria-label="Keyboard shortcuts" title="Keyboard shortcuts (?)" onClick={() => setHelp(true)}>
            <Icon name="help" />
          </button>
        </div>
      </aside>
      <main id="main" className="main" ref={main} tabIndex={-1}>
        {me.data ? (
          <Suspense fallback={<div className="page"><Loading /></div>}>
            <Outlet />
          </Suspense>
        ) : (
          <div className="page">{me.error && me.error.status !== 401 ? <Failure error={me.error} again={() => void me.refetch()} /> : <Loading />}</div>
        )}
      </main>
      <Palette open={palette} onClose={() => setPalette(false)} onHelp={() => setHelp(true)} />
      <Help open={help} onClose={() => setHelp(false)} />
    </div>
  );
}

export function Shell() {
  const location = useLocation();
  const [search] = useSearch();
  const project = (search as Search).project ?? "default";
  setProject(project);
  return (
    <ProjectContext.Provider value={project}>
      {location.pathname === "/signin" ? (
        <Suspense fallback={null}>
          <Outlet />
        </Suspense>
      ) : (
        <Inside />
      )}
      <Toasts />
    </ProjectContext.Provider>
  );
}
