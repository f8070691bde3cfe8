import { useEffect, useRef, useState } from "react";
import { useQueryClient } from "@tanstack/react-query";
import { api, type ApiError } from "../api/client.ts";
import { Field } from "../components/bits.tsx";
import { useGo, useSearch } from "../lib/nav.tsx";

export default function SignIn() {
  const [search] = useSearch();
  const go = useGo();
  const client = useQueryClient();
  const [error, setError] = useState<ApiError | null>(null);
  const [busy, setBusy] = useState(false);
  const used = useRef("");
  const enter = async (token: string) => {
    if (!token || used.current === token) return;
    used.current = token;
    setBusy(true);
    setError(null);
    try {
      await api.post("/session", { token });
      client.clear();
      // Only addresses of this site: `//host` would leave it.
      go(search.next && /^\/(?![/\\])/.test(search.next) ? search.next : "/", { replace: true });
    } catch (failure) {
      used.current = "";
      setError(failure as ApiError);
      setBusy(false);
    }
  };
  useEffect(() => {
    document.title = "Sign in · Penstock";
    if (search.token) void enter(search.token);
  }, [search.token]);
  return (
    <main className="signin">
      <form
        className="card"
        onSubmit={(e) => {
          e.preventDefault();
          const said = String(new FormData(e.currentTarget).get("token") ?? "").trim();
          // People paste the whole link as often as the token.
          void enter(/[?&]token=([^&\s]+)/.exec(said)?.[1] ?? said);
        }}
      >
        <div className="brand">
          <img src="/favicon.svg" alt="" width="28" height="28" />
          <h1>Sign in to Penstock</h1>
        </div>
        <Field
          label="One-time link"
          hint={
            <>
              Get a link with <code>penstock signin</code> on the machine that runs Penstock; <code>penstock up</code> prints one at the first start.
            </>
          }
        >
          {(id) => <input id={id} name="token" type="password" autoComplete="off" autoFocus disabled={busy} />}
        </Field>
        {error && (
          <div className="note bad" role="alert">
            {error.status === 401 || error.status === 404 ? "This link is used up or too old, or it is none: API keys are for programs. Ask for a new one." : error.message}
          </div>
        )}
        <button type="submit" className="button primary" disabled={busy}>
          {busy ? "Signing in…" : "Sign in"}
        </button>
      </form>
    </main>
  );
}
