/** One column of the playground: a model, and the prompt it is asked with. */
import { type RefObject, useEffect, useRef, useState } from "react";
import { api, path } from "../../api/client.ts";
import type { Rendered } from "../../api/types.ts";
import type { Answer, Call } from "../../lib/chat.ts";
import type { Column } from "../../lib/prompts.ts";
import { Result, useCall } from "../answer.tsx";

/** What the page can do with a column. */
export interface Handle {
  send: () => void;
  stop: () => void;
}

interface Props {
  at: number;
  column: Column;
  title: string;
  /** The call with the messages of the page. */
  callOf: (model: string) => Call;
  variables: Record<string, unknown>;
  cache: string | undefined;
  handles: RefObject<Map<number, Handle>>;
  onRunning: (at: number, running: boolean) => void;
  onContinue: (answer: Answer) => void;
}

const NUMBERS = new Set(["temperature", "top_p", "max_tokens", "seed"]);

/** The call of a column with a prompt of its own: that version's messages, tools and settings, on this column's model. */
async function asked(column: Column, call: Call, variables: Record<string, unknown>): Promise<Call> {
  const [name = "", version] = column.prompt.split("@");
  const made = await api.post<Rendered>(path`/prompts/${name}/render`, { version: Number(version), variables });
  const settings = Object.fromEntries(Object.entries(made.settings).filter(([k, v]) => NUMBERS.has(k) && typeof v === "number"));
  const given = Object.fromEntries(Object.entries(call).filter(([, v]) => v !== undefined));
  return { ...settings, ...given, model: call.model, stream: call.stream, messages: made.kind === "chat" ? made.messages : [{ role: "user", content: made.text }], tools: made.tools.length ? made.tools : call.tools };
}

export function PlaygroundColumn({ at, column, title, callOf, variables, cache, handles, onRunning, onContinue }: Props) {
  const call = useCall();
  const [problem, setProblem] = useState("");
  const latest = useRef<Handle>({ send: () => undefined, stop: () => undefined });
  const turn = useRef(0);
  latest.current = {
    send: () => {
      setProblem("");
      const own = ++turn.current;
      const base = callOf(column.model);
      if (!column.prompt) {
        void call.send(base, { cache });
        return;
      }
      asked(column, base, variables).then(
        (made) => own === turn.current && void call.send(made, { cache }),
        (error: Error & { hint?: string }) => own === turn.current && setProblem(`${error.message} ${error.hint ?? ""}`.trim()),
      );
    },
    stop: () => {
      turn.current++;
      call.stop();
    },
  };
  useEffect(() => {
    const all = handles.current;
    all.set(at, { send: () => latest.current.send(), stop: () => latest.current.stop() });
    return () => void all.delete(at);
  }, [at, handles]);
  const { running } = call;
  useEffect(() => {
    onRunning(at, running);
    return () => onRunning(at, false);
  }, [at, running, onRunning]);
  return (
    <div className="playground-column">
      {problem && (
        <div className="note bad" role="alert">
          {problem}
        </div>
      )}
      <Result title={title} call={call} onContinue={() => call.answer && onContinue(call.answer)} />
    </div>
  );
}
