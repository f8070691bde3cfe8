/** A button with a small panel below it: Esc, a press outside, or `close` shuts it. */
import { type ReactNode, useEffect, useId, useRef, useState } from "react";

export function Popover({ label, button, children, end, wide, small }: { /** What the button is called, when its text does not say. */ label?: string; button: ReactNode; children: (close: () => void) => ReactNode; /** The panel's right edge is the button's. */ end?: boolean; wide?: boolean; small?: boolean }) {
  const [open, setOpen] = useState(false);
  const box = useRef<HTMLSpanElement>(null);
  const trigger = useRef<HTMLButtonElement>(null);
  const panel = useRef<HTMLDivElement>(null);
  const id = useId();
  const close = () => {
    setOpen(false);
    trigger.current?.focus();
  };
  useEffect(() => {
    if (!open) return;
    panel.current?.querySelector<HTMLElement>("[autofocus], input, button, select, a")?.focus();
    const outside = (e: PointerEvent) => {
      if (!box.current?.contains(e.target as Node)) setOpen(false);
    };
    const esc = (e: KeyboardEvent) => {
      if (e.key !== "Escape" || document.querySelector("dialog[open]")) return;
      e.preventDefault();
      e.stopPropagation();
      close();
    };
    document.addEventListener("pointerdown", outside);
    document.addEventListener("keydown", esc, true);
    return () => {
      document.removeEventListener("pointerdown", outside);
      document.removeEventListener("keydown", esc, true);
    };
  }, [open]);
  return (
    <span className="popover" ref={box}>
      <button ref={trigger} type="button" className={small ? "button small" : "button"} aria-label={label} aria-haspopup="dialog" aria-expanded={open} aria-controls={open ? id : undefined} onClick={() => setOpen(!open)}>
        {button}
        <span aria-hidden="true" className="caret-down" />
      </button>
      {open && (
        <div ref={panel} id={id} role="dialog" aria-label={label ?? (typeof button === "string" ? button : "Options")} className={`popover-panel${end ? " end" : ""}${wide ? " wide" : ""}`}>
          {children(close)}
        </div>
      )}
    </span>
  );
}
