/** Ready-to-run lines with this server's address and, after one press, a fresh key. */
import { useState } from "react";
import { api } from "../api/client.ts";
import type { GatewayRoute, NewKey, Page } from "../api/types.ts";
import { useAct, useGet } from "../lib/query.ts";
import { Code } from "./bits.tsx";

const HOLE = "psk_YOUR_KEY";

function text(kind: string, base: string, key: string, model: string): string {
  if (kind === "curl")
    return `curl ${base}/v1/chat/completions \\\n  -H "Authorization: Bearer ${key}" \\\n  -H "Content-Type: application/json" \\\n  -d '{"model": "${model}", "messages": [{"role": "user", "content": "Hello"}]}'`;
  if (kind === "python")
    return `from openai import OpenAI\n\nclient = OpenAI(base_url="${base}/v1", api_key="${key}")\nanswer = client.chat.completions.create(\n    model="${model}",\n    messages=[{"role": "user", "content": "Hello"}],\n)\nprint(answer.choices[0].message.content)`;
  return `# any OpenTelemetry SDK or instrumentation\nexport OTEL_EXPORTER_OTLP_ENDPOINT="${base}"\nexport OTEL_EXPORTER_OTLP_PROTOCOL="http/protobuf"\nexport OTEL_EXPORTER_OTLP_HEADERS="authorization=Bearer%20${key}"`;
}

/** `extra` is a snippet of the page's own, shown first. */
export function Snippets({ extra }: { extra?: string } = {}) {
  const [kind, setKind] = useState("curl");
  const [key, setKey] = useState("");
  const routes = useGet<Page<GatewayRoute>>("/routes", undefined, { staleTime: 30_000 });
  const make = useAct(() => api.post<NewKey>("/keys", { name: "quick start", role: "gateway" }), (made) => {
    setKey(made.key);
    return "A new key is in the snippet. It is shown only here.";
  });
  const model = routes.data?.items[0]?.name ?? "YOUR_ROUTE";
  return (
    <div className="snippets">
      <div className="snippet-bar">
        <div className="segments" role="group" aria-label="Client">
          {[
            ["curl", "curl"],
            ["python", "openai-python"],
            ["otel", "OpenTelemetry"],
          ].map(([id, label]) => (
            <button key={id} type="button" aria-pressed={kind === id} onClick={() => setKind(id!)}>
              {label}
            </button>
          ))}
        </div>
        <button type="button" className="button small" disabled={make.isPending || !!key} onClick={() => make.mutate(undefined)}>
          {key ? "Key filled in" : "Fill in a fresh key"}
        </button>
      </div>
      {extra && <Code text={extra} label="How" />}
      <Code text={text(kind, window.location.origin, key || HOLE, model)} label="Snippet" />
    </div>
  );
}
