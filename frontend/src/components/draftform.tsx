/** A form whose draft is read before it is sent: what cannot be read, or what the server refuses, is said above its button. */
import { type ReactNode, useState } from "react";

interface Sending<T> {
  mutate: (body: T) => void;
  error: { message: string; hint: string } | null;
  isPending: boolean;
}

/** `read` returns the body or throws what to tell; `action` is what the button says. */
export function DraftForm<T>({ read, sending, action, ready = true, children }: { read: () => T; sending: Sending<T>; action: ReactNode; ready?: boolean; children: ReactNode }) {
  const [problem, setProblem] = useState("");
  const submit = () => {
    try {
      const body = read();
      setProblem("");
      sending.mutate(body);
    } catch (error) {
      setProblem((error as Error).message);
    }
  };
  return (
    <form
      onSubmit={(e) => {
        e.preventDefault();
        submit();
      }}
    >
      {children}
      {(problem || sending.error) && (
        <div className="note bad" role="alert">
          {problem || `${sending.error!.message} ${sending.error!.hint}`}
        </div>
      )}
      <div className="actions spaced">
        <button type="submit" className="button primary" disabled={sending.isPending || !ready}>
          {action}
        </button>
      </div>
    </form>
  );
}
