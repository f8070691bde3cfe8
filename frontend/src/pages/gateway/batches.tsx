import { useContext, useState } from "react";
import { useQuery } from "@tanstack/react-query";
import { ApiError, gateway, path } from "../../api/client.ts";
import type { Batch, BatchList } from "../../api/types.ts";
import { Badge, Card, Code, Table, When } from "../../components/bits.tsx";
import { Confirm, GatewayPage } from "../../components/gateway.tsx";
import { Empty, Ready } from "../../components/state.tsx";
import { full, short } from "../../lib/format.ts";
import { ProjectContext } from "../../lib/nav.tsx";
import { useAct } from "../../lib/query.ts";

const TONES: Record<string, string> = { completed: "good", failed: "bad", expired: "bad", in_progress: "busy", finalizing: "busy", validating: "wait", cancelling: "wait", cancelled: "plain" };
const ENDED = ["completed", "failed", "expired", "cancelled"];
const SNIPPET = (base: string) => `from openai import OpenAI

client = OpenAI(base_url="${base}/v1", api_key="psk_YOUR_KEY")
file = client.files.create(file=open("requests.jsonl", "rb"), purpose="batch")
client.batches.create(input_file_id=file.id, endpoint="/v1/chat/completions", completion_window="24h")`;

function Progress({ batch }: { batch: Batch }) {
  const { total, completed, failed } = batch.request_counts;
  const done = completed + failed;
  return (
    <span className="share">
      <span className="bar-rail" aria-hidden="true">
        <span style={{ width: total ? `${(done / total) * 100}%` : "0%" }} />
      </span>
      {total ? `${full(done)} of ${full(total)}` : "–"}
      {failed > 0 && <span className="bad-ink">{full(failed)} failed</span>}
    </span>
  );
}

function File({ id, label }: { id: string | null; label: string }) {
  return id ? (
    <a className="button small" href={path`/v1/files/${id}/content`} download={`${id}.jsonl`}>
      {label}
    </a>
  ) : null;
}

function useBatches() {
  const project = useContext(ProjectContext);
  return useQuery<BatchList, ApiError>({
    queryKey: [project, "v1-batches"],
    queryFn: ({ signal }) => gateway<BatchList>("GET", "/v1/batches?limit=100", signal),
    refetchInterval: (q) => (q.state.data?.data.some((b) => !ENDED.includes(b.status)) ? 3_000 : 15_000),
  });
}

export default function Batches() {
  const batches = useBatches();
  const [going, setGoing] = useState<Batch | null>(null);
  const cancel = useAct((id: string) => gateway("POST", path`/v1/batches/${id}/cancel`), "The batch is being cancelled");
  return (
    <GatewayPage tab="batches" note="Many calls from one file, within a day">
      <Ready query={batches}>
        {(page) =>
          page.data.length ? (
            <Card flush>
              <Table
                label="Batches"
                rows={page.data}
                keyOf={(b) => b.id}
                columns={[
                  { head: "Batch", cell: (b) => <span title={b.id}>{short(b.id)}</span>, mono: true },
                  { head: "Status", cell: (b) => <Badge value={b.status.replace("_", " ")} tone={TONES[b.status]} /> },
                  { head: "Endpoint", cell: (b) => b.endpoint, mono: true },
                  { head: "Done", cell: (b) => <Progress batch={b} /> },
                  { head: "Made", cell: (b) => <When at={b.created_at * 1000} /> },
                  { head: "Note", cell: (b) => b.errors?.data[0]?.message ?? Object.entries(b.metadata ?? {}).map(([k, v]) => `${k}: ${v}`).join(", ") },
                  {
                    head: "Action",
                    cell: (b) => (
                      <span className="row">
                        <File id={b.output_file_id} label="Results" />
                        <File id={b.error_file_id} label="Errors" />
                        {!ENDED.includes(b.status) && b.status !== "cancelling" && (
                          <button type="button" className="button small" aria-label={`Cancel ${b.id}`} onClick={() => setGoing(b)}>
                            Cancel
                          </button>
                        )}
                      </span>
                    ),
                  },
                ]}
              />
            </Card>
          ) : (
            <Empty title="No batches yet">
              <p className="muted">A batch is a file of requests that is worked off in the background, with OpenAI's own client.</p>
              <Code label="Snippet" text={SNIPPET(window.location.origin)} />
            </Empty>
          )
        }
      </Ready>
      <Confirm open={going !== null} title="Cancel this batch?" act="Cancel batch" onYes={() => going && cancel.mutate(going.id)} onNo={() => setGoing(null)}>
        <p>Requests under way are finished; the rest are not sent. What is done stays in the results.</p>
      </Confirm>
    </GatewayPage>
  );
}
