/** The frame around every page: navigation, project, palette, help, theme, notices, and the door. */
import { Suspense, useContext, useEffect, useRef, useState } from "react";
import * as Menu from "@radix-ui/react-dropdown-menu";
import { Outlet, useLocation } from "@tanstack/react-router";
import { useQueryClient } from "@tanstack/react-query";
import { api, setProject } from "../api/client.ts";
import type { Me, Page, Project } from "../api/types.ts";
import { useKeys } from "../lib/keys.ts";
import { A, ProjectContext, useGo, useSearch, type Search } from "../lib/nav.tsx";
import { useGet } from "../lib/query.ts";
import { choose, useChoice, type Choice } from "../lib/theme.ts";
import { dismiss, useToasts } from "../lib/toast.ts";
import { Icon } from "./icons.tsx";
import { Help } from "./help.tsx";
import { Palette } from "./palette.tsx";
import { Failure, Loading } from "./state.tsx";

export const PLACES: { key: string; label: string; href: string; icon: string; group: string }[] = [
  { key: "h", label: "Home", href: "/", icon: "home", group: "" },
  { key: "t", label: "Traces", href: "/traces", icon: "traces", group: "Observe" },
  { key: "a", label: "Playground", href: "/playground", icon: "playground", group: "Build" },
  { key: "p", label: "Prompts", href: "/prompts", icon: "prompts", group: "Build" },
  { key: "d", label: "Datasets", href: "/datasets", icon: "datasets", group: "Build" },
  { key: "r", label: "Training", href: "/training", icon: "training", group: "Improve" },
  { key: "e", label: "Evaluations", href: "/evaluations", icon: "evaluations", group: "Improve" },
  { key: "m", label: "Models", href: "/models", icon: "models", group: "Ship" },
  { key: "y", label: "Deployments", href: "/deployments", icon: "deployments", group: "Ship" },
  { key: "s", label: "Settings", href: "/settings", icon: "settings", group: "Admin" },
];

function Nav({ path }: { path: string }) {
  const groups = [...new Set(PLACES.map((p) => p.group))];
  return (
    <nav className="nav" aria-label="Main">
      {groups.map((group) => (
        <div key={group} className="nav-group">
          {group && <div className="nav-title">{group}</div>}
          {PLACES.filter((p) => p.group === group).map((p) => {
            const here = p.href === "/" ? path === "/" : path === p.href || path.startsWith(`${p.href}/`);
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

function ProjectSwitch({ project }: { project: string }) {
  const projects = useGet<Page<Project>>("/projects", undefined, { staleTime: 60_000 });
  const go = useGo();
  const names = [...new Set([project, ...(projects.data?.items ?? []).map((p) => p.name)])];
  return (
    <Menu.Root modal={false}>
      <Menu.Trigger className="switch" aria-label={`Project: ${project}`}>
        <span className="ellipsis">{project}</span>
        <Icon name="chevron" />
      </Menu.Trigger>
      <Menu.Content className="menu" align="start" sideOffset={4}>
        <Menu.Label className="menu-label">Project</Menu.Label>
        <Menu.RadioGroup value={project} onValueChange={(name) => go(`/?project=${encodeURIComponent(name)}`)}>
          {names.map((name) => (
            <Menu.RadioItem key={name} value={name} className="menu-item">
              {name}
            </Menu.RadioItem>
          ))}
        </Menu.RadioGroup>
      </Menu.Content>
    </Menu.Root>
  );
}

function UserMenu({ me }: { me: Me }) {
  const theme = useChoice();
  const client = useQueryClient();
  const go = useGo();
  const leave = async () => {
    await api.del("/session");
    client.clear();
    go("/signin");
  };
  return (
    <Menu.Root modal={false}>
      <Menu.Trigger className="switch" aria-label={`Account: ${me.name}`}>
        <Icon name="user" />
        <span className="ellipsis">{me.name}</span>
      </Menu.Trigger>
      <Menu.Content className="menu" align="start" side="top" sideOffset={4}>
        <Menu.Label className="menu-label">
          {me.name} · {me.role}
        </Menu.Label>
        <Menu.Separator className="menu-line" />
        <Menu.Label className="menu-label">Theme</Menu.Label>
        <Menu.RadioGroup value={theme} onValueChange={(v) => choose(v as Choice)}>
          {(["light", "dark", "system"] as const).map((v) => (
            <Menu.RadioItem key={v} value={v} className="menu-item" onSelect={(e) => e.preventDefault()}>
              {v[0]!.toUpperCase() + v.slice(1)}
            </Menu.RadioItem>
          ))}
        </Menu.RadioGroup>
        <Menu.Separator className="menu-line" />
        <Menu.Item className="menu-item" onSelect={() => void leave()}>
          Sign out
        </Menu.Item>
      </Menu.Content>
    </Menu.Root>
  );
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
  const armed = useRef(0);
  const keys: Record<string, (e: KeyboardEvent) => void> = {
    g: () => {
      armed.current = performance.now();
    },
  };
  for (const place of PLACES)
    keys[place.key] = (e) => {
      if (performance.now() - armed.current > 1000) return;
      armed.current = 0;
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
        <ProjectSwitch project={project} />
        <button type="button" className="find" onClick={() => setPalette(true)}>
          <Icon name="search" />
          <span className="find-text">Jump to…</span>
          <kbd aria-hidden="true">{/Mac/.test(navigator.platform) ? "⌘K" : "Ctrl K"}</kbd>
        </button>
        <Nav path={location.pathname} />
        <div className="side-foot">
          {me.data ? <UserMenu me={me.data} /> : <span className="switch" />}
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
