/** The shell's two menus. They open as soon as they are there, since a press on their button fetched them. */
import * as Menu from "@radix-ui/react-dropdown-menu";
import { useQueryClient } from "@tanstack/react-query";
import { api } from "../api/client.ts";
import type { Me, Page, Project } from "../api/types.ts";
import { useGo } from "../lib/nav.tsx";
import { useGet } from "../lib/query.ts";
import { choose, useChoice, type Choice } from "../lib/theme.ts";
import { Icon } from "./icons.tsx";

export function ProjectMenu({ project }: { project: string }) {
  const projects = useGet<Page<Project>>("/projects", undefined, { staleTime: 60_000 });
  const go = useGo();
  const names = [...new Set([project, ...(projects.data?.items ?? []).map((p) => p.name)])];
  return (
    <Menu.Root modal={false} defaultOpen>
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

export function UserMenu({ me }: { me: Me }) {
  const theme = useChoice();
  const client = useQueryClient();
  const go = useGo();
  const leave = async () => {
    await api.del("/session");
    client.clear();
    go("/signin");
  };
  return (
    <Menu.Root modal={false} defaultOpen>
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
