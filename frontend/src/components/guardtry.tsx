/** A text in front of guards, before a call ever is. */
import { type ReactNode, useState } from "react";
import { useMutation } from "@tanstack/react-query";
import { api, type ApiError } from "../api/client.ts";
import type { GuardCheck, GuardRules } from "../api/types.ts";
import { Badge, Card, Field } from "./bits.tsx";
import { Refused } from "./gateway.tsx";
import { Verdicts } from "./verdicts.tsx";

export interface Tried {
  policy?: string;
  route?: string;
  rules?: GuardRules;
}

function Found({ text, found }: { text: string; found: GuardCheck }) {
  const changed = found.allowed && found.text !== null && found.text !== text;
  return (
    <div className="spaced" role="status" aria-label="Result of the check">
      <p className="row">
        {!found.allowed ? <Badge value="refused" /> : changed ? <Badge value="changed" tone="busy" /> : <Badge value="passes" tone="good" />}
        <span>{!found.allowed ? found.reason || "The call would be refused." : changed ? "The call would go on with this text:" : "The call would go on as it is."}</span>
      </p>
      {changed && <div className="message message-text spaced">{found.text}</div>}
      <p className="muted">{found.policies.length ? `Checked by ${found.policies.map((p) => (p.endsWith("@0") ? "the form" : p)).join(", ")}.` : "No policy holds for it."}</p>
      {found.verdicts.length > 0 && <Verdicts items={found.verdicts} label="Verdicts of the check" narrow />}
    </div>
  );
}

/** `subject` is asked when the text is checked, and may throw what is wrong with a form. */
export function TryIt({ note, subject, actions }: { note: string; subject: () => Tried; actions?: ReactNode }) {
  const [text, setText] = useState("");
  const [stage, setStage] = useState("input");
  const [role, setRole] = useState("user");
  const [system, setSystem] = useState("");
  const [tools, setTools] = useState("");
  const [shown, setShown] = useState<{ text: string; found: GuardCheck } | null>(null);
  // No change: nothing of the page is read again, and a form beside it stays as it is.
  const check = useMutation<{ text: string; found: GuardCheck }, ApiError>({
    mutationFn: async () => ({ text, found: await api.post<GuardCheck>("/guardrails/check", { text, stage, role, system: system ? [system] : [], tools: tools.split(",").map((t) => t.trim()).filter(Boolean), ...subject() }) }),
    onSuccess: setShown,
  });
  return (
    <Card title="Try it" actions={actions}>
      <form
        onSubmit={(e) => {
          e.preventDefault();
          setShown(null);
          check.mutate();
        }}
      >
        <Field label="Text" hint={note}>
          {(id) => <textarea id={id} rows={4} required value={text} placeholder="Mail me at jane.doe@example.com" onChange={(e) => setText(e.target.value)} />}
        </Field>
        <details className="more">
          <summary>What else the call holds</summary>
          <Field label="System prompt">{(id) => <textarea id={id} rows={2} value={system} onChange={(e) => setSystem(e.target.value)} />}</Field>
          <Field label={stage === "input" ? "Tools it offers" : "Tools it calls"}>{(id) => <input id={id} className="mono" placeholder="none" value={tools} onChange={(e) => setTools(e.target.value)} />}</Field>
        </details>
        <div className="row">
          <select aria-label="Check it as" value={stage} onChange={(e) => setStage(e.target.value)}>
            <option value="input">as a request</option>
            <option value="output">as an answer</option>
          </select>
          {stage === "input" && (
            <select aria-label="Role of the text" value={role} onChange={(e) => setRole(e.target.value)}>
              {["user", "system", "assistant", "tool"].map((r) => (
                <option key={r}>{r}</option>
              ))}
            </select>
          )}
          <button type="submit" className="button" disabled={check.isPending}>
            Check
          </button>
        </div>
      </form>
      <div className="spaced">
        <Refused error={check.error} />
      </div>
      {shown && !check.error && <Found {...shown} />}
    </Card>
  );
}
