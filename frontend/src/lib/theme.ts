/** Theme choice: kept per browser; index.html applies it before the first paint. */
import { useSyncExternalStore } from "react";

export type Choice = "light" | "dark" | "system";
const KEY = "penstock.theme";
const media = matchMedia("(prefers-color-scheme: dark)");
const listeners = new Set<() => void>();

export function choice(): Choice {
  try {
    const saved = localStorage.getItem(KEY);
    return saved === "light" || saved === "dark" ? saved : "system";
  } catch {
    return "system"; // Storage is blocked in this browser: the theme follows the system.
  }
}

function apply(): void {
  const wanted = choice();
  document.documentElement.dataset.theme = wanted === "dark" || (wanted === "system" && media.matches) ? "dark" : "light";
  listeners.forEach((listener) => listener());
}

media.addEventListener("change", apply);

export function choose(next: Choice): void {
  try {
    if (next === "system") localStorage.removeItem(KEY);
    else localStorage.setItem(KEY, next);
  } catch {
    document.documentElement.dataset.theme = next === "dark" ? "dark" : "light";
    return;
  }
  apply();
}

const subscribe = (listener: () => void) => {
  listeners.add(listener);
  return () => listeners.delete(listener);
};

export const useChoice = (): Choice => useSyncExternalStore(subscribe, choice);
/** The theme on screen now; charts draw their own colours and must follow it. */
export const useTheme = (): string => useSyncExternalStore(subscribe, () => document.documentElement.dataset.theme ?? "light");
