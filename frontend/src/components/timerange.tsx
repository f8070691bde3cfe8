/** The time a page looks at: relative presets stay relative in the address, or two instants. */
import { useState } from "react";
import { useSearch } from "../lib/nav.tsx";
import { DEFAULT_RANGE, RANGES, clock, rangeMs } from "../lib/time.ts";
import { Field } from "./bits.tsx";
import { Popover } from "./popover.tsx";

/** What a `datetime-local` field holds for an instant. */
const local = (iso: string | undefined) => (iso ? clock(iso).replace(" ", "T").slice(0, 16) : "");
const UNITS: Record<string, string> = { m: "minutes", h: "hours", d: "days" };

export function rangeName(range: string): string {
  if (range === "all") return "All time";
  const unit = UNITS[range.slice(-1)];
  return unit ? `Last ${range.slice(0, -1)} ${Number(range.slice(0, -1)) === 1 ? unit.slice(0, -1) : unit}` : range;
}

function Between({ since, until, onPick }: { since?: string; until?: string; onPick: (since: string, until: string) => void }) {
  const [from, setFrom] = useState(local(since));
  const [to, setTo] = useState(local(until));
  const wrong = from && to && from >= to ? "The first must be before the second." : "";
  return (
    <form
      onSubmit={(e) => {
        e.preventDefault();
        if (!wrong && (from || to)) onPick(from && new Date(from).toISOString(), to && new Date(to).toISOString());
      }}
    >
      <Field label="From">{(id) => <input id={id} type="datetime-local" value={from} onChange={(e) => setFrom(e.target.value)} />}</Field>
      <Field label="To" hint={wrong ? <span className="bad-ink">{wrong}</span> : "Your local time; empty is now"}>
        {(id) => <input id={id} type="datetime-local" value={to} onChange={(e) => setTo(e.target.value)} />}
      </Field>
      <button type="submit" className="button small" disabled={!!wrong || !(from || to)}>
        Use these
      </button>
    </form>
  );
}

export function TimeRange({ fallback = DEFAULT_RANGE, presets = RANGES }: { fallback?: string; presets?: readonly string[] }) {
  const [search, patch] = useSearch();
  const custom = !!(search.since || search.until);
  const range = search.range && (search.range === "all" || rangeMs(search.range)) ? search.range : fallback;
  const said = custom ? `${search.since ? clock(search.since).slice(5, 16) : "…"} to ${search.until ? clock(search.until).slice(5, 16) : "now"}` : rangeName(range);
  const [own, setOwn] = useState("");
  const pick = (value: string) => patch({ range: value === fallback ? undefined : value, since: undefined, until: undefined });
  return (
    <Popover label={`Time range: ${said}`} button={said} end>
      {(close) => (
        <div className="time-panel">
          <ul>
            {presets.map((r) => (
              <li key={r}>
                <button
                  type="button"
                  className="menu-item"
                  aria-pressed={!custom && r === range}
                  onClick={() => {
                    pick(r);
                    close();
                  }}
                >
                  {rangeName(r)}
                </button>
              </li>
            ))}
          </ul>
          <div>
            <form
              onSubmit={(e) => {
                e.preventDefault();
                if (!rangeMs(own)) return;
                pick(own);
                close();
              }}
            >
              <Field label="The last" hint="A number and m, h or d">
                {(id) => <input id={id} placeholder="90m" size={8} value={own} pattern="\d{1,4}[mhd]" onChange={(e) => setOwn(e.target.value.trim())} />}
              </Field>
            </form>
            <Between
              since={search.since}
              until={search.until}
              onPick={(since, until) => {
                patch({ since: since || undefined, until: until || undefined, range: undefined });
                close();
              }}
            />
          </div>
        </div>
      )}
    </Popover>
  );
}
