/** One person's seat at a queue: the item in hand, the way back, and drafts that save themselves. */
import { useCallback, useContext, useEffect, useRef, useState } from "react";
import { useQueryClient } from "@tanstack/react-query";
import { api, ApiError, path } from "../api/client.ts";
import type { NextItem, QueueItem, Values } from "../api/types.ts";
import { ProjectContext } from "./nav.tsx";
import { toast } from "./toast.ts";

const MOST_BACK = 50;
const DRAFT_MS = 700;

/** The items one handled lately, also after a reload; the newest last. */
function backOf(key: string): string[] {
  try {
    const kept: unknown = JSON.parse(sessionStorage.getItem(key) ?? "[]");
    return Array.isArray(kept) ? kept.filter((k): k is string => typeof k === "string") : [];
  } catch {
    return []; // Without storage only this visit's way back is known.
  }
}

function keepBack(key: string, back: string[]): void {
  try {
    sessionStorage.setItem(key, JSON.stringify(back.slice(-MOST_BACK)));
  } catch {
    return; // As above.
  }
}

export interface Desk {
  /** Undefined until the server answered for the first time. */
  item: QueueItem | null | undefined;
  reservedUntil: string | null;
  error: ApiError | null;
  busy: boolean;
  /** Whether the item in hand is on its way out: what is pressed now was meant for one that is not seen yet. */
  leaving: boolean;
  /** How many items can be taken back. */
  back: number;
  load: () => Promise<void>;
  /** `before` ends first: what of the item is still on its way to the server must not arrive after its answer. */
  answer: (values: Values, comment: string, before: () => Promise<void>) => Promise<boolean>;
  skip: (before: () => Promise<void>) => Promise<boolean>;
  undo: () => Promise<void>;
}

export function useDesk(queue: string, suggestions: boolean): Desk {
  const project = useContext(ProjectContext);
  const client = useQueryClient();
  const key = `penstock.desk.${project}.${queue}`;
  const [state, setState] = useState<{ item: QueueItem | null | undefined; until: string | null }>({ item: undefined, until: null });
  const [error, setError] = useState<ApiError | null>(null);
  const [busy, setBusy] = useState(false);
  const [leaving, setLeaving] = useState(false);
  const [back, setBack] = useState(() => backOf(key));
  const working = useRef<Promise<void> | null>(null);
  const url = path`/queues/${queue}`;

  const take = useCallback((found: NextItem) => setState({ item: found.item, until: found.reserved_until ?? null }), []);
  /** One request after another: a second press of a key while the first is under way does nothing. */
  const once = useCallback(
    async (act: () => Promise<void>): Promise<boolean> => {
      if (working.current) return false;
      let over = () => {};
      working.current = new Promise((resolve) => (over = resolve));
      setBusy(true);
      try {
        await act();
        setError(null);
        void client.invalidateQueries({ queryKey: [project, url] });
        return true;
      } catch (failure) {
        const said = failure instanceof ApiError ? failure : new ApiError(0, (failure as Error).message);
        setError(said);
        toast(`${said.message} ${said.hint}`.trim(), "error");
        return false;
      } finally {
        working.current = null;
        setBusy(false);
        setLeaving(false);
        over();
      }
    },
    [client, project, url],
  );
  // Whoever hides suggestions is not sent any, and the server knows that this answer was given without one.
  const next = useCallback(async () => take(await api.post<NextItem>(`${url}/next`, { suggestions })), [take, url, suggestions]);
  const remember = useCallback(
    (change: (old: string[]) => string[]) =>
      setBack((old) => {
        const now = change(old);
        keepBack(key, now);
        return now;
      }),
    [key],
  );
  const id = state.item?.id;
  const leave = (how: "answer" | "skip", body: unknown, before: () => Promise<void>) =>
    once(async () => {
      if (!id) return;
      setLeaving(true);
      await before();
      await api.post(path`/queues/items/${id}/` + how, body);
      remember((old) => [...old.filter((x) => x !== id), id]);
      await next();
    });
  const undo = async () => {
    const last = back[back.length - 1];
    if (!last) return;
    await once(async () => {
      const found = await api.post<NextItem | undefined>(path`/queues/items/${last}/undo`);
      remember((old) => old.filter((x) => x !== last));
      if (found?.item) take(found);
      else await next();
    });
  };
  useEffect(() => {
    let stale = false;
    const load = async () => {
      // Suggestions shown and hidden again at once: the last wish holds, whatever is still under way.
      while (working.current) await working.current;
      if (!stale) await once(next);
    };
    void load();
    return () => {
      stale = true;
    };
  }, [once, next]);
  return {
    item: state.item,
    reservedUntil: state.until,
    error,
    busy,
    leaving,
    back: back.length,
    load: async () => void (await once(next)),
    answer: (values, comment, before) => leave("answer", { values, comment }, before),
    skip: (before) => leave("skip", {}, before),
    undo,
  };
}

export type Saved = "" | "waiting" | "saved" | "failed";

/** Sends what changed to the server a moment after the last change; `settle` forgets what is pending and waits for what is on its way. */
export function useDraft(id: string | undefined, values: Values, comment: string, changed: boolean): { saved: Saved; settle: () => Promise<void> } {
  const [saved, setSaved] = useState<Saved>("");
  const timer = useRef<ReturnType<typeof setTimeout>>(undefined);
  const pending = useRef<(() => Promise<unknown>) | null>(null);
  const sending = useRef<Promise<unknown>>(Promise.resolve());
  const settle = useCallback(async () => {
    clearTimeout(timer.current);
    pending.current = null;
    setSaved("");
    await sending.current;
  }, []);
  useEffect(() => {
    if (!id || !changed) return;
    const send = () => {
      pending.current = null;
      // One after the other: an older draft never overtakes a newer one.
      sending.current = sending.current.then(() => api.put(path`/queues/items/${id}/draft`, { values, comment })).then(
        () => setSaved((now) => (pending.current ? now : "saved")),
        () => setSaved("failed"),
      );
      return sending.current;
    };
    pending.current = send;
    setSaved("waiting");
    timer.current = setTimeout(() => void send(), DRAFT_MS);
    return () => clearTimeout(timer.current);
  }, [id, values, comment, changed]);
  // What was typed just before leaving the page is not lost.
  useEffect(() => () => void pending.current?.(), []);
  return { saved, settle };
}
