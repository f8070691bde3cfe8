import { Dialog } from "./bits.tsx";
import { PLACES } from "./shell.tsx";

const KEYS: [string, [string, string][]][] = [
  ["Everywhere", [["Ctrl/⌘ K", "Search or jump"], ["?", "This help"], ["Esc", "Close what is on top"]]],
  ["Traces", [["/", "Search"], ["j  k", "Next, previous"], ["x", "Select, or not"], ["Enter", "Open the full page"], ["Esc", "Close the side view"]]],
  ["A trace", [["n  p", "Next, previous span"], ["o", "Fold or unfold the span"], ["j  k", "Next, previous trace of the list"]]],
  ["Annotation", [["1 … 9", "Choose"], ["←  →", "Previous, next choice"], ["↑  ↓", "Previous, next question"], ["Enter", "Submit, next item"], ["s  u", "Skip, take back"], ["a  h", "Take or hide the suggestion"], ["e  c", "Write the answer, a comment"], ["i", "Guidelines"]]],
  ["Starting a run", [["Ctrl/⌘ Enter", "Preview"]]],
  ["Playground", [["Ctrl/⌘ Enter", "Send"], ["Esc", "Stop"]]],
];

export function Help({ open, onClose }: { open: boolean; onClose: () => void }) {
  return (
    <Dialog open={open} onClose={onClose} title="Keyboard shortcuts" wide>
      <div className="help">
        {KEYS.map(([where, keys]) => (
          <section key={where}>
            <h3>{where}</h3>
            <dl>
              {keys.map(([key, what]) => (
                <div key={key}>
                  <dt>
                    <kbd>{key}</kbd>
                  </dt>
                  <dd>{what}</dd>
                </div>
              ))}
            </dl>
          </section>
        ))}
        <section>
          <h3>Jump</h3>
          <dl>
            {PLACES.map((p) => (
              <div key={p.key}>
                <dt>
                  <kbd>g {p.key}</kbd>
                </dt>
                <dd>{p.label}</dd>
              </div>
            ))}
          </dl>
        </section>
      </div>
    </Dialog>
  );
}
