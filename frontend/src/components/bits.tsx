/** Small parts every page uses. */
import { type ReactNode, useEffect, useId, useRef, useState } from "react";
import { A } from "../lib/nav.tsx";
import { ago, clock, utc } from "../lib/time.ts";
import { toast } from "../lib/toast.ts";
import type { Interval } from "../api/types.ts";
import { figure, full } from "../lib/format.ts";

export function PageHead({ title, crumbs, children, note }: { title: ReactNode; crumbs?: [string, string][]; children?: ReactNode; note?: ReactNode }) {
  const plain = typeof title === "string" ? title : undefined;
  useEffect(() => {
    document.title = plain ? `${plain} · Penstock` : "Penstock";
  }, [plain]);
  return (
    <header className="page-head">
      <div className="titles">
        {crumbs && (
          <nav aria-label="Breadcrumb" className="crumbs">
            {crumbs.map(([label, href]) => (
              <A key={href} href={href}>
                {label}
              </A>
            ))}
          </nav>
        )}
        <h1>{title}</h1>
        {note}
      </div>
      {children && <div className="actions">{children}</div>}
    </header>
  );
}

const TONES: Record<string, string> = {
  ok: "good", succeeded: "good", ready: "good", live: "good", running: "busy", passed: "good", stable: "good", healthy: "good", complete: "good", finished: "good",
  error: "bad", failed: "bad", refused: "bad", crashed: "bad", unhealthy: "bad", killed: "bad",
  queued: "wait", waiting: "wait", scheduled: "wait", pending: "wait", starting: "wait", loading: "wait", canary: "wait", stopping: "wait", degraded: "wait", paused: "wait", uploaded: "wait",
};

export function Badge({ value, tone, title }: { value: string; tone?: string; title?: string }) {
  return (
    <span className={`badge ${tone ?? TONES[value] ?? "plain"}`} title={title}>
      {value}
    </span>
  );
}

/** Of a trace that is not whole. */
export function Partial() {
  return <Badge value="partial" tone="wait" title="Only the rest of a trace: sampling had let go of it when these spans came." />;
}

/** A time as people say it, with both clocks in the tooltip. */
export function When({ at }: { at: string | number | null | undefined }) {
  const [, tick] = useState(0);
  useEffect(() => {
    const timer = setInterval(() => tick((n) => n + 1), 20_000);
    return () => clearInterval(timer);
  }, []);
  if (at == null) return <span>–</span>;
  return (
    <time dateTime={new Date(at).toISOString()} title={`${clock(at, true)} local\n${utc(at)}`}>
      {ago(at)}
    </time>
  );
}

export function Copy({ text, label = "Copy" }: { text: string; label?: string }) {
  const copy = async () => {
    try {
      await navigator.clipboard.writeText(text);
      toast("Copied");
    } catch {
      toast("The browser did not allow copying; select the text instead.", "error");
    }
  };
  return (
    <button type="button" className="button small" onClick={() => void copy()}>
      {label}
    </button>
  );
}

export function Code({ text, label, max }: { text: string; label: string; max?: number }) {
  return (
    <div className="code" style={max ? { maxHeight: max } : undefined}>
      <pre tabIndex={0} aria-label={label}>
        {text}
      </pre>
      <div className="code-tools">
        <Copy text={text} />
      </div>
    </div>
  );
}

export function Field({ label, children, hint }: { label: string; hint?: ReactNode; children: (id: string) => ReactNode }) {
  const id = useId();
  return (
    <div className="field">
      <label htmlFor={id}>{label}</label>
      {children(id)}
      {hint && <div className="hint">{hint}</div>}
    </div>
  );
}

/** A modal window: the platform's own, so focus, Esc and the top layer come for free. */
export function Dialog({ open, onClose, title, children, wide }: { open: boolean; onClose: () => void; title: string; children: ReactNode; wide?: boolean }) {
  const ref = useRef<HTMLDialogElement>(null);
  const id = useId();
  useEffect(() => {
    const dialog = ref.current;
    if (!dialog) return;
    if (open && !dialog.open) dialog.showModal();
    if (!open && dialog.open) dialog.close();
  }, [open]);
  return (
    <dialog
      ref={ref}
      className={wide ? "wide" : undefined}
      aria-labelledby={id}
      onClose={() => {
        // Also said after the page itself closed it, perhaps to open another: only a user's Esc is news.
        if (open) onClose();
      }}
      onClick={(e) => {
        if (e.target === ref.current) onClose();
      }}
    >
      {open && (
        <div className="dialog-body">
          <div className="dialog-head">
            <h2 id={id}>{title}</h2>
            <button type="button" className="icon-button" aria-label="Close" onClick={onClose}>
              <svg viewBox="0 0 16 16" aria-hidden="true">
                <path d="M4 4l8 8M12 4l-8 8" />
              </svg>
            </button>
          </div>
          {children}
        </div>
      )}
    </dialog>
  );
}

/** Tabs as links: the choice lives in the address. */
export function Tabs({ items, current, hrefOf, label }: { items: [string, ReactNode][]; current: string; hrefOf: (key: string) => string; label: string }) {
  return (
    <nav className="tabs" aria-label={label}>
      {items.map(([key, text]) => (
        <A key={key} href={hrefOf(key)} aria-current={key === current ? "page" : undefined}>
          {text}
        </A>
      ))}
    </nav>
  );
}

export function Facts({ items }: { items: [string, ReactNode][] }) {
  return (
    <dl className="facts">
      {items
        .filter(([, value]) => value !== null && value !== undefined && value !== "")
        .map(([name, value]) => (
          <div key={name}>
            <dt>{name}</dt>
            <dd>{value}</dd>
          </div>
        ))}
    </dl>
  );
}

export function Card({ title, children, actions, flush }: { title?: ReactNode; children: ReactNode; actions?: ReactNode; flush?: boolean }) {
  return (
    <section className={flush ? "card flush" : "card"}>
      {(title || actions) && (
        <div className="card-head">
          {title && <h2>{title}</h2>}
          {actions && <div className="actions">{actions}</div>}
        </div>
      )}
      {children}
    </section>
  );
}

export interface Column<T> {
  head: string;
  cell: (row: T) => ReactNode;
  num?: boolean;
  width?: string;
  mono?: boolean;
}

export function Table<T>({ label, columns, rows, keyOf }: { label: string; columns: Column<T>[]; rows: T[]; keyOf: (row: T, index: number) => string }) {
  return (
    <div className="table-scroll" tabIndex={0} role="region" aria-label={label}>
      <table>
        <thead>
          <tr>
            {columns.map((c) => (
              <th key={c.head} scope="col" className={c.num ? "num" : undefined} style={c.width ? { width: c.width } : undefined}>
                {c.head}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {rows.map((row, i) => (
            <tr key={keyOf(row, i)}>
              {columns.map((c) => (
                <td key={c.head} className={`${c.num ? "num" : ""} ${c.mono ? "mono" : ""}`.trim() || undefined}>
                  {c.cell(row)}
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

/** A value with its 95 % interval drawn on a 0..1 (or given) scale. */
export function IntervalBar({ metric, low = 0, high = 1, label }: { metric: Interval; low?: number; high?: number; label: string }) {
  const at = (v: number) => `${Math.max(0, Math.min(100, ((v - low) / (high - low || 1)) * 100))}%`;
  const from = metric.low ?? metric.value;
  const to = metric.high ?? metric.value;
  return (
    <svg className="interval" role="img" aria-label={`${label}: ${figure(metric.value)}, 95 % interval ${figure(from)} to ${figure(to)}, ${full(metric.n)} rows`}>
      <line className="rail" x1="0" x2="100%" y1="50%" y2="50%" />
      <line className="span" x1={at(from)} x2={at(to)} y1="50%" y2="50%" />
      <circle cx={at(metric.value)} cy="50%" r="4" />
    </svg>
  );
}

export function Bars({ items, label, max = 12 }: { items: [string, number][]; label: string; max?: number }) {
  const top = Math.max(1e-12, ...items.map(([, n]) => n));
  return (
    <ul className="bars" aria-label={label}>
      {items.slice(0, max).map(([name, n]) => (
        <li key={name}>
          <span className="bar-name" title={name}>
            {name === "" ? "(empty)" : name}
          </span>
          <span className="bar-rail" aria-hidden="true">
            <span style={{ width: `${(n / top) * 100}%` }} />
          </span>
          <span className="bar-n">{figure(n)}</span>
        </li>
      ))}
      {items.length > max && <li className="muted">and {full(items.length - max)} more</li>}
    </ul>
  );
}
