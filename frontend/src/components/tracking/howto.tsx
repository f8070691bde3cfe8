/** The lines that log a run from any program. */
import { useState } from "react";
import { Code } from "../bits.tsx";

const quote = (text: string) => JSON.stringify(text);

function lines(kind: string, experiment: string): string {
  const at = window.location.origin;
  if (kind === "sdk") return `import penstock\n\nclient = penstock.Client(${quote(at)}, api_key="psk_YOUR_KEY")\nwith client.runs.start(${quote(experiment)}, params={"rate": 0.1}) as run:\n    run.log(step=1, loss=0.42)`;
  return `# export MLFLOW_TRACKING_URI=${at}/mlflow MLFLOW_TRACKING_TOKEN=psk_YOUR_KEY\nimport mlflow\n\nmlflow.set_experiment(${quote(experiment)})\nwith mlflow.start_run():\n    mlflow.log_params({"rate": 0.1})\n    mlflow.log_metric("loss", 0.42, step=1)`;
}

export function HowTo({ experiment = "spam filter" }: { experiment?: string }) {
  const [kind, setKind] = useState("sdk");
  return (
    <div className="snippets">
      <div className="snippet-bar">
        <div className="segments" role="group" aria-label="Client">
          {[
            ["sdk", "Penstock's SDK"],
            ["mlflow", "MLflow's client"],
          ].map(([id, label]) => (
            <button key={id} type="button" aria-pressed={kind === id} onClick={() => setKind(id!)}>
              {label}
            </button>
          ))}
        </div>
      </div>
      <Code text={lines(kind, experiment)} label="Snippet" />
    </div>
  );
}
