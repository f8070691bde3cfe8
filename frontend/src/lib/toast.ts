/** Short notices: a tiny store that the shell draws in a live region. */
import { useSyncExternalStore } from "react";

export interface Toast {
  id: number;
  text: string;
  tone: "info" | "error";
}

let toasts: Toast[] = [];
let serial = 0;
const listeners = new Set<() => void>();
const changed = () => listeners.forEach((listener) => listener());

export function dismiss(id: number): void {
  toasts = toasts.filter((t) => t.id !== id);
  changed();
}

export function toast(text: string, tone: Toast["tone"] = "info"): void {
  const id = ++serial;
  toasts = [...toasts.slice(-3), { id, text, tone }];
  changed();
  setTimeout(() => dismiss(id), tone === "error" ? 10_000 : 4_000);
}

export function useToasts(): Toast[] {
  return useSyncExternalStore(
    (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    () => toasts,
  );
}
