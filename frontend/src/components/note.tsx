/** What people wrote about a thing, in Markdown, and a field to change it. */
import { useEffect, useState } from "react";
import { useAct } from "../lib/query.ts";
import { Card } from "./bits.tsx";
import { Markdown } from "./markdown.tsx";

export function NoteCard({ note, of, save }: { note: string; of: string; save: (text: string) => Promise<unknown> }) {
  const [editing, setEditing] = useState(false);
  const [text, setText] = useState(note);
  useEffect(() => {
    if (!editing) setText(note);
  }, [note, editing]);
  const keep = useAct(
    () => save(text),
    () => {
      setEditing(false);
      return "Note saved";
    },
  );
  return (
    <Card
      title="Note"
      actions={
        !editing && (
          <button type="button" className="button small" onClick={() => setEditing(true)}>
            {note ? "Edit" : "Write a note"}
          </button>
        )
      }
    >
      {editing ? (
        <form
          onSubmit={(e) => {
            e.preventDefault();
            keep.mutate(undefined);
          }}
        >
          <textarea aria-label="Note" rows={6} autoFocus value={text} onChange={(e) => setText(e.target.value)} placeholder="What was tried and what came of it (Markdown)" />
          <div className="actions spaced">
            <button type="submit" className="button primary" disabled={keep.isPending}>
              Save note
            </button>
            <button type="button" className="button" onClick={() => setEditing(false)}>
              Leave it
            </button>
          </div>
        </form>
      ) : note ? (
        <Markdown source={note} />
      ) : (
        <p className="muted">{`Nothing is noted about this ${of}.`}</p>
      )}
    </Card>
  );
}
