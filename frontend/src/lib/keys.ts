/** One key map that works wherever the focus is, except while typing. */
import { useLayoutEffect, useRef } from "react";

export function typing(target: EventTarget | null): boolean {
  return target instanceof HTMLElement && (target.isContentEditable || /^(INPUT|TEXTAREA|SELECT)$/.test(target.tagName));
}

export type Keys = Record<string, (event: KeyboardEvent) => void>;

/** Keys by `event.key`; `mod+Enter` also works while typing. A dialog on top swallows page keys. */
export function useKeys(keys: Keys, enabled = true): void {
  const current = useRef(keys);
  current.current = keys;
  // With the page's first paint: a key that is pressed as soon as the page is seen is not lost.
  useLayoutEffect(() => {
    if (!enabled) return;
    const listener = (event: KeyboardEvent) => {
      if (event.defaultPrevented || event.isComposing || document.querySelector("dialog[open]")) return;
      const mod = event.ctrlKey || event.metaKey;
      if ((typing(event.target) && !mod && event.key !== "Escape") || event.altKey) return;
      const act = current.current[mod ? `mod+${event.key}` : event.key];
      if (act) act(event);
    };
    window.addEventListener("keydown", listener);
    return () => window.removeEventListener("keydown", listener);
  }, [enabled]);
}
