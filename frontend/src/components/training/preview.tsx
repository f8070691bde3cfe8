/** What a trainer will see: the rendered rows with what is trained on, and every row that is wrong. */
import type { PreviewExample, TrainingPreview } from "../../api/types.ts";
import { full, percent, plural } from "../../lib/format.ts";
import { useSearch } from "../../lib/nav.tsx";
import { Card, Table } from "../bits.tsx";

function Example({ example }: { example: PreviewExample }) {
  const segments = example.segments.length ? example.segments : [{ text: example.text, trained: true }];
  return (
    <pre className="rendered" tabIndex={0} aria-label="Rendered example">
      {segments.map((s, i) =>
        s.trained ? (
          <mark key={i} className="trained">
            {s.text}
          </mark>
        ) : (
          <span key={i}>{s.text}</span>
        ),
      )}
    </pre>
  );
}

export function Preview({ preview }: { preview: TrainingPreview }) {
  const [search, patch] = useSearch();
  const at = Math.min(Math.max(0, Number(search.example ?? 1) - 1), Math.max(0, preview.examples.length - 1));
  const example = preview.examples[at];
  const go = (n: number) => patch({ example: n ? String(n + 1) : undefined }, { replace: true });
  return (
    <>
      {preview.problem_count > 0 ? (
        <Card title={`${plural(preview.problem_count, "problem")} in ${plural(preview.rows, "row")}`} flush>
          <div className="problems">
            <Table
              label="Problems"
              rows={preview.problems}
              keyOf={(p, i) => `${i}${p.row}`}
              columns={[
                { head: "Row", cell: (p) => full(p.row), num: true, width: "80px" },
                { head: "What is wrong", cell: (p) => <span className="wrap">{p.message}</span> },
              ]}
            />
          </div>
          {preview.problem_count > preview.problems.length && <p className="muted pad">and {full(preview.problem_count - preview.problems.length)} more</p>}
        </Card>
      ) : (
        <div className="note">{`Every one of ${plural(preview.rows, "row")} can be trained on.`}</div>
      )}
      {example && (
        <Card
          title={`Example ${at + 1} of ${preview.examples.length}: row ${full(example.row)}${example.name ? `, ${example.name.replace(/_/g, " ")}` : ""}`}
          actions={
            <>
              <span className="muted small">
                {full(example.tokens)} tokens, trained on {full(example.trained_tokens)} ({percent(example.tokens ? example.trained_tokens / example.tokens : 0, 0)})
              </span>
              <span className="neighbours row">
                <button type="button" className="button small" aria-label="Previous example" disabled={at === 0} onClick={() => go(at - 1)}>
                  ‹
                </button>
                <button type="button" className="button small" aria-label="Next example" disabled={at >= preview.examples.length - 1} onClick={() => go(at + 1)}>
                  ›
                </button>
              </span>
            </>
          }
        >
          <Example example={example} />
          <p className="muted small spaced">
            The loss is on the <mark className="trained">marked</mark> text alone; the rest is only read.
          </p>
        </Card>
      )}
    </>
  );
}
