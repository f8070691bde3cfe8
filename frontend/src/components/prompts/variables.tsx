/** Inputs for a prompt's variables, each for its type. */
import type { Variable } from "../../api/types.ts";
import { typed } from "../../lib/prompts.ts";
import { Field } from "../bits.tsx";

const JSON_TYPES = new Set(["list", "object", "messages"]);
const EXAMPLES: Record<string, string> = { list: '["one", "two"]', object: '{"key": "value"}', messages: '[{"role": "user", "content": "…"}]', image: "https://… or data:image/png;base64,…" };

function problem(variable: Variable, text: string | undefined): string {
  try {
    typed(variable, text);
    return "";
  } catch (error) {
    return (error as Error).message;
  }
}

function Input({ id, variable, text, onChange }: { id: string; variable: Variable; text: string | undefined; onChange: (text: string) => void }) {
  const usual = variable.default == null ? undefined : typeof variable.default === "string" ? variable.default : JSON.stringify(variable.default);
  const set = (e: { target: { value: string } }) => onChange(e.target.value);
  if (variable.type === "boolean")
    return (
      <select id={id} value={text ?? ""} onChange={set}>
        <option value="">{usual ?? "–"}</option>
        <option>true</option>
        <option>false</option>
      </select>
    );
  if (variable.type === "number" || variable.type === "integer") return <input id={id} type="number" step={variable.type === "integer" ? 1 : "any"} placeholder={usual} value={text ?? ""} onChange={set} />;
  if (variable.type === "image") return <input id={id} className="mono" placeholder={usual ?? EXAMPLES.image} value={text ?? ""} onChange={set} />;
  const json = JSON_TYPES.has(variable.type);
  return <textarea id={id} className={json ? "mono" : undefined} rows={json ? 3 : 2} placeholder={usual ?? EXAMPLES[variable.type]} value={text ?? ""} onChange={set} />;
}

export function VariableInputs({ variables, texts, onChange }: { variables: Variable[]; texts: Record<string, string>; onChange: (texts: Record<string, string>) => void }) {
  return (
    <>
      {variables.map((v) => {
        const wrong = problem(v, texts[v.name]);
        const hint = [v.type !== "string" && v.type, !v.required && "optional", v.description].filter(Boolean).join(" · ");
        return (
          <Field key={v.name} label={v.name} hint={wrong ? <span className="bad-ink">{wrong}</span> : hint}>
            {(id) => <Input id={id} variable={v} text={texts[v.name]} onChange={(text) => onChange({ ...texts, [v.name]: text })} />}
          </Field>
        );
      })}
    </>
  );
}
