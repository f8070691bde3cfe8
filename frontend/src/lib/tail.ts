/** Traces as they arrive, over server-sent events; tries again by itself when the line breaks. */
import { useEffect, useState } from "react";
import { currentProject, errorFrom, query as params } from "../api/client.ts";
import type { TraceRow } from "../api/types.ts";
import { readEvents } from "./sse.ts";

const MOST = 500;
const PAUSES = [1_000, 2_000, 5_000, 10_000];

export interface Tail {
  rows: TraceRow[];
  /** How many traces there was no time for. */
  skipped: number;
  /** `refused` says why it will not be tried again. */
  state: "off" | "connecting" | "on" | "broken" | "refused";
  said: string;
}

const OFF: Tail = { rows: [], state: "off", said: "", skipped: 0 };

const pause = (length: number, signal: AbortSignal) =>
  new Promise<void>((done) => {
    const timer = setTimeout(done, length);
    signal.addEventListener("abort", () => {
      clearTimeout(timer);
      done();
    });
  });

async function follow(query: string, signal: AbortSignal, take: (row: TraceRow) => void, skip: (traces: number) => void, say: (state: Tail["state"], text?: string) => void): Promise<void> {
  let last = "";
  for (let failures = 0; !signal.aborted; failures++) {
    try {
      const response = await fetch(`/api/v1/traces/tail${params({ query })}`, { headers: { accept: "text/event-stream", "x-penstock-project": currentProject(), ...(last ? { "last-event-id": last } : {}) }, credentials: "same-origin", signal });
      if (!response.ok || !response.body) {
        const error = await errorFrom(response);
        if (response.status < 500 && response.status !== 429) return say("refused", `${error.message} ${error.hint}`.trim());
        throw error;
      }
      say("on");
      failures = 0;
      for await (const event of readEvents(response.body)) {
        last = event.id || last;
        if (event.event === "trace") take(JSON.parse(event.data) as TraceRow);
        else if (event.event === "skipped") skip((JSON.parse(event.data) as { traces: number }).traces);
      }
    } catch (error) {
      if (signal.aborted) return;
      say("broken", (error as Error).message);
    }
    if (!signal.aborted) await pause(PAUSES[Math.min(failures, PAUSES.length - 1)]!, signal);
  }
}

export function useTail(query: string, project: string, on: boolean): Tail {
  const [tail, setTail] = useState<Tail>(OFF);
  useEffect(() => {
    if (!on) {
      setTail(OFF);
      return;
    }
    const control = new AbortController();
    // A burst is drawn once a frame, however many rows it has.
    let waiting: TraceRow[] = [];
    let frame = 0;
    const draw = () => {
      frame = 0;
      const fresh = waiting.reverse();
      waiting = [];
      setTail((old) => {
        const ids = new Set(fresh.map((r) => r.trace_id));
        return { ...old, rows: [...fresh.filter((r, i) => fresh.findIndex((o) => o.trace_id === r.trace_id) === i), ...old.rows.filter((r) => !ids.has(r.trace_id))].slice(0, MOST) };
      });
    };
    setTail({ ...OFF, state: "connecting" });
    void follow(
      query,
      control.signal,
      (row) => {
        waiting.push(row);
        frame ||= requestAnimationFrame(draw);
      },
      (traces) => setTail((old) => ({ ...old, skipped: old.skipped + traces })),
      (state, said = "") => control.signal.aborted || setTail((old) => ({ ...old, state, said })),
    );
    return () => {
      control.abort();
      cancelAnimationFrame(frame);
    };
  }, [query, project, on]);
  return tail;
}
