import { useParams } from "@tanstack/react-router";
import { Copy, PageHead } from "../components/bits.tsx";
import { TraceView } from "../components/spans.tsx";
import { useKeys } from "../lib/keys.ts";
import { useGo } from "../lib/nav.tsx";

export default function TracePage() {
  const { traceId = "" } = useParams({ strict: false }) as { traceId?: string };
  const go = useGo();
  useKeys({ Escape: () => go("/traces") });
  return (
    <div className="page fill">
      <PageHead title={`Trace ${traceId.slice(0, 8)}`} crumbs={[["Traces", "/traces"]]} note={<span className="mono muted">{traceId}</span>}>
        <Copy text={window.location.href} label="Copy link" />
      </PageHead>
      <TraceView traceId={traceId} />
    </div>
  );
}
