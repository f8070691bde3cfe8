/** A queue's questions, with the key of every choice beside it. */
import type { QueueLabel, Values } from "../../api/types.ts";
import { choicesOf, isWritten, problemOf, said } from "../../lib/annotate.ts";
import { Badge } from "../bits.tsx";

interface One {
  label: QueueLabel;
  letter: string;
  current: boolean;
  value: unknown;
  suggested: unknown;
  /** Whether keys choose here, so that they are shown. */
  keyed: boolean;
  onFocus: () => void;
  onChange: (value: unknown) => void;
}

function Choices({ label, current, keyed, value, suggested, onFocus, onChange }: One) {
  return (
    <div className="choices" role="radiogroup" aria-label={label.name}>
      {choicesOf(label).map((c) => (
        <button
          key={String(c.value)}
          type="button"
          role="radio"
          data-choice=""
          aria-checked={value === c.value}
          className={`choice${suggested === c.value ? " suggested" : ""}`}
          onClick={() => {
            onFocus();
            onChange(c.value);
          }}
        >
          {keyed && c.key && <kbd className={current ? undefined : "off"}>{c.key}</kbd>}
          <span>{c.text}</span>
          {suggested === c.value && <span className="muted small">suggested</span>}
        </button>
      ))}
    </div>
  );
}

function Written({ label, value, onFocus, onChange }: One) {
  return (
    <textarea
      id={`question-${label.name}`}
      aria-label={label.name}
      rows={label.type === "correction" ? 8 : 3}
      value={typeof value === "string" ? value : ""}
      onFocus={onFocus}
      onChange={(e) => onChange(e.target.value)}
    />
  );
}

function Typed({ label, value, onFocus, onChange }: One) {
  const problem = problemOf(label, value);
  return (
    <>
      <input
        id={`question-${label.name}`}
        aria-label={label.name}
        aria-invalid={!!problem}
        type="number"
        step="any"
        min={label.range?.[0]}
        max={label.range?.[1]}
        value={typeof value === "number" && Number.isFinite(value) ? value : ""}
        onFocus={onFocus}
        onChange={(e) => onChange(e.target.value === "" ? undefined : Number(e.target.value))}
      />
      {problem ? <div className="hint bad-ink">{problem}</div> : label.range && <div className="hint">{`${label.range[0]} to ${label.range[1]}`}</div>}
    </>
  );
}

function Question(props: One) {
  const { label, letter, current, suggested, onFocus } = props;
  const written = isWritten(label.type);
  const choosing = choicesOf(label).length > 0;
  return (
    <section className={current ? "question current" : "question"} aria-label={label.name} aria-current={current ? "step" : undefined}>
      <div className="question-head">
        {letter && <kbd title={`Press ${letter} to go to this question`}>{letter}</kbd>}
        <button type="button" className="question-name" data-choice="" onClick={onFocus}>
          {label.name.replace(/_/g, " ")}
        </button>
        {label.required ? <Badge value="needed" tone="wait" /> : <span className="muted small">optional</span>}
      </div>
      {label.help && <div className="hint">{label.help}</div>}
      {choosing ? <Choices {...props} /> : written ? <Written {...props} /> : <Typed {...props} />}
      {!choosing && suggested !== undefined && (
        <div className="hint">
          Suggested: {said(label, suggested)}
        </div>
      )}
    </section>
  );
}

interface All {
  labels: QueueLabel[];
  letters: string[];
  at: number;
  values: Values;
  suggestion: Values | null;
  keyed?: boolean;
  onAt: (at: number) => void;
  onChange: (name: string, value: unknown) => void;
}

export function Questions({ labels, letters, at, values, suggestion, keyed = true, onAt, onChange }: All) {
  return (
    <div className="questions">
      {labels.map((label, i) => (
        <Question
          key={label.name}
          label={label}
          letter={letters[i] ?? ""}
          current={i === at}
          keyed={keyed}
          value={values[label.name]}
          suggested={suggestion?.[label.name]}
          onFocus={() => onAt(i)}
          onChange={(value) => onChange(label.name, value)}
        />
      ))}
    </div>
  );
}
