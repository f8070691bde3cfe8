import { useState } from "react";
import { api, path } from "../../api/client.ts";
import type { Model, Page } from "../../api/types.ts";
import { useGo, useSearch } from "../../lib/nav.tsx";
import { useAct, useGet } from "../../lib/query.ts";
import { Field } from "../bits.tsx";

const ENGINES: [string, string][] = [
  ["llamacpp", "llama.cpp (GGUF)"],
  ["transformers", "Transformers"],
  ["onnx", "ONNX Runtime"],
  ["ctranslate2", "CTranslate2"],
  ["vllm", "vLLM"],
  ["external", "A server that runs elsewhere"],
];

export function NewDeployment() {
  const go = useGo();
  const [search] = useSearch();
  const models = useGet<Page<Model>>("/models", undefined, { staleTime: 30_000 });
  const [name, setName] = useState("");
  const [model, setModel] = useState(search.model ?? "");
  const [engine, setEngine] = useState("llamacpp");
  const [replicas, setReplicas] = useState(1);
  const [options, setOptions] = useState("");
  const [wrong, setWrong] = useState("");
  const deploy = useAct(
    (given: unknown) => api.post("/deployments", { name, model, engine, replicas, ...(given ? { options: given } : {}) }),
    () => {
      go(path`/deployments/${name}`);
      return `${name} starts; it answers once a replica has generated a token`;
    },
    { quiet: true },
  );
  const submit = () => {
    try {
      const given = options.trim() ? (JSON.parse(options) as unknown) : null;
      setWrong("");
      deploy.mutate(given);
    } catch (e) {
      setWrong(`Options are not JSON: ${e instanceof Error ? e.message : String(e)}`);
    }
  };
  return (
    <form
      onSubmit={(e) => {
        e.preventDefault();
        submit();
      }}
    >
      <Field label="Name" hint="Also the model's name at the gateway">
        {(id) => <input id={id} required value={name} onChange={(e) => setName(e.target.value)} />}
      </Field>
      <Field label="Model version">
        {(id) => (
          <>
            <input id={id} required list={`${id}-list`} value={model} onChange={(e) => setModel(e.target.value)} />
            <datalist id={`${id}-list`}>
              {(models.data?.items ?? []).flatMap((m) => [`${m.name}@${m.versions}`, ...Object.keys(m.aliases).map((a) => `${m.name}@${a}`)]).map((r) => (
                <option key={r} value={r} />
              ))}
            </datalist>
          </>
        )}
      </Field>
      <div className="fields">
        <Field label="Engine">
          {(id) => (
            <select id={id} value={engine} onChange={(e) => setEngine(e.target.value)}>
              {ENGINES.map(([value, text]) => (
                <option key={value} value={value}>
                  {text}
                </option>
              ))}
            </select>
          )}
        </Field>
        <Field label="Replicas">{(id) => <input id={id} type="number" min={1} max={64} required value={replicas} onChange={(e) => setReplicas(Number(e.target.value))} />}</Field>
      </div>
      <Field label="Options of the engine (JSON)">{(id) => <textarea id={id} className="mono" rows={3} value={options} onChange={(e) => setOptions(e.target.value)} />}</Field>
      {(wrong || deploy.error) && (
        <div className="note bad" role="alert">
          {wrong || `${deploy.error!.message} ${deploy.error!.hint}`}
        </div>
      )}
      <div className="actions">
        <button type="submit" className="button primary" disabled={deploy.isPending}>
          Deploy
        </button>
      </div>
    </form>
  );
}
