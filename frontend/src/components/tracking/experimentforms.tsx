/** Making, renaming and deleting an experiment. */
import { useState } from "react";
import { api, path } from "../../api/client.ts";
import type { Experiment } from "../../api/types.ts";
import { plural } from "../../lib/format.ts";
import { useGo } from "../../lib/nav.tsx";
import { useAct } from "../../lib/query.ts";
import { Dialog, Field } from "../bits.tsx";

/** The name of a new experiment, or another name for `experiment`. */
export function NameDialog({ open, onClose, experiment }: { open: boolean; onClose: () => void; experiment?: Experiment }) {
  const go = useGo();
  const [name, setName] = useState(experiment?.name ?? "");
  const save = useAct(
    () => (experiment ? api.patch<Experiment>(path`/experiments/${experiment.id}`, { name: name.trim() }) : api.post<Experiment>("/experiments", { name: name.trim() })),
    (made) => {
      onClose();
      if (!experiment) go(path`/experiments/${made.id}`);
      return experiment ? "Renamed" : "The experiment is made";
    },
  );
  return (
    <Dialog open={open} onClose={onClose} title={experiment ? "Rename the experiment" : "New experiment"}>
      <form
        onSubmit={(e) => {
          e.preventDefault();
          save.mutate(undefined);
        }}
      >
        <Field label="Name" hint={experiment ? "Programs that name the experiment in their code need the new name." : "Programs make experiments by themselves when they first name one."}>
          {(id) => <input id={id} value={name} autoFocus maxLength={500} onChange={(e) => setName(e.target.value)} placeholder="spam filter" />}
        </Field>
        <div className="actions spaced">
          <button type="submit" className="button primary" disabled={!name.trim() || save.isPending}>
            {experiment ? "Rename" : "Make the experiment"}
          </button>
        </div>
      </form>
    </Dialog>
  );
}

export function DeleteDialog({ open, onClose, experiment }: { open: boolean; onClose: () => void; experiment: Experiment }) {
  const go = useGo();
  const remove = useAct(
    () => api.del(path`/experiments/${experiment.id}`),
    () => {
      onClose();
      go("/experiments");
      return `${experiment.name} is deleted; it can be restored`;
    },
  );
  return (
    <Dialog open={open} onClose={onClose} title="Delete this experiment?">
      <p>{`It goes out of sight with ${plural(experiment.runs, "run")}. Nothing is destroyed: it can be restored from the list of deleted experiments.`}</p>
      <div className="actions">
        <button type="button" className="button" onClick={onClose}>
          Keep it
        </button>
        <button type="button" className="button danger" disabled={remove.isPending} onClick={() => remove.mutate(undefined)}>
          Delete it
        </button>
      </div>
    </Dialog>
  );
}

export function Restore({ experiment, small }: { experiment: Experiment; small?: boolean }) {
  const restore = useAct(() => api.post(path`/experiments/${experiment.id}/restore`), `${experiment.name} is back`);
  return (
    <button type="button" className={small ? "button small" : "button primary"} disabled={restore.isPending} onClick={() => restore.mutate(undefined)} aria-label={`Restore ${experiment.name}`}>
      Restore
    </button>
  );
}
