import { useEffect, useRef, useState } from "react";
import { api, path } from "../api/client.ts";
import type { Dataset, Model, Objective, Page, ReadyRecipe, TrainingPreview, TrainingRun, TrainingSearch } from "../api/types.ts";
import { Card, Field, PageHead } from "../components/bits.tsx";
import { Empty, Failure, Loading, Ready } from "../components/state.tsx";
import { Preview } from "../components/training/preview.tsx";
import { FIRST_SPACE, ObjectivesForm, PRUNERS, SAMPLERS, SpaceForm } from "../components/training/space.tsx";
import { useKeys } from "../lib/keys.ts";
import { useGo, useSearch } from "../lib/nav.tsx";
import { useAct, useGet } from "../lib/query.ts";
import { objectivesOf, spaceOf, valueIn, withValue } from "../lib/recipe.ts";
import { parseYaml, writeYaml } from "../lib/yaml.ts";
import "../loop.css";

function read(text: string): { recipe: Record<string, unknown> | null; wrong: string } {
  if (!text.trim()) return { recipe: null, wrong: "" };
  try {
    return { recipe: parseYaml(text), wrong: "" };
  } catch (e) {
    return { recipe: null, wrong: e instanceof Error ? e.message : String(e) };
  }
}

/** Versions to choose from, newest first; anything else may be typed. */
function useRefs() {
  const models = useGet<Page<Model>>("/models", undefined, { staleTime: 30_000 });
  const datasets = useGet<Page<Dataset>>("/datasets", undefined, { staleTime: 30_000 });
  return {
    models: (models.data?.items ?? []).flatMap((m) => [...Object.keys(m.aliases).map((a) => `${m.name}@${a}`), ...(m.versions ? [`${m.name}@${m.versions}`] : [])]),
    datasets: (datasets.data?.items ?? []).flatMap((d) => [`${d.name}@latest`, `${d.name}@${d.latest}`]),
  };
}

function SearchSettings({ recipe }: { recipe: Record<string, unknown> | null }) {
  const go = useGo();
  const [space, setSpace] = useState(FIRST_SPACE);
  const [objectives, setObjectives] = useState<Objective[]>([{ metric: "loss", direction: "minimize" }]);
  const [sampler, setSampler] = useState("tpe");
  const [pruner, setPruner] = useState("median");
  const [suite, setSuite] = useState("");
  const [trials, setTrials] = useState(20);
  const [parallel, setParallel] = useState(1);
  const [wrong, setWrong] = useState("");
  const start = useAct(
    (body: object) => api.post<TrainingSearch>("/training/searches", body),
    (s) => {
      go(path`/training/searches/${s.id}`);
      return "The search is queued";
    },
    { quiet: true },
  );
  const submit = () => {
    const [params, looked] = [spaceOf(space), objectivesOf(objectives)];
    const found = typeof params === "string" ? params : typeof looked === "string" ? looked : "";
    setWrong(found);
    if (!found) start.mutate({ recipe, space: params, objectives: looked, sampler, pruner: objectives.length > 1 ? "none" : pruner, trials, parallel, ...(suite.trim() ? { suite: suite.trim() } : {}) });
  };
  return (
    <Card title="The search">
      <SpaceForm rows={space} onRows={setSpace} />
      <ObjectivesForm rows={objectives} onRows={setObjectives} />
      <div className="fields">
        <Field label="Sampler">
          {(id) => (
            <select id={id} value={sampler} onChange={(e) => setSampler(e.target.value)}>
              {SAMPLERS.map(([value, text]) => (
                <option key={value} value={value}>
                  {text}
                </option>
              ))}
            </select>
          )}
        </Field>
        <Field label="Ends hopeless trials early">
          {(id) => (
            <select id={id} value={objectives.length > 1 ? "none" : pruner} disabled={objectives.length > 1} onChange={(e) => setPruner(e.target.value)}>
              {PRUNERS.map(([value, text]) => (
                <option key={value} value={value}>
                  {text}
                </option>
              ))}
            </select>
          )}
        </Field>
        <Field label="Judged by the suite" hint="For objectives called eval.METRIC; empty: the recipe's suite">
          {(id) => <input id={id} value={suite} onChange={(e) => setSuite(e.target.value)} />}
        </Field>
        <Field label="Trials">{(id) => <input id={id} type="number" min={1} max={10_000} value={trials} onChange={(e) => setTrials(Number(e.target.value))} />}</Field>
        <Field label="At the same time">{(id) => <input id={id} type="number" min={1} max={64} value={parallel} onChange={(e) => setParallel(Number(e.target.value))} />}</Field>
      </div>
      {(wrong || start.error) && (
        <div className="note bad" role="alert">
          {wrong || `${start.error!.message} ${start.error!.hint}`}
        </div>
      )}
      <button type="button" className="button primary" disabled={!recipe || start.isPending} onClick={submit}>
        Start the search
      </button>
    </Card>
  );
}

const KEPT = "penstock.recipe";

function Editor({ recipes }: { recipes: ReadyRecipe[] }) {
  const go = useGo();
  const [search, patch] = useSearch();
  const searching = search.search === "1";
  const [text, setText] = useState(() => (search.recipe || search.from ? "" : (sessionStorage.getItem(KEPT) ?? "")));
  const from = useGet<TrainingRun>(path`/training/runs/${search.from ?? ""}`, undefined, { enabled: !!search.from });
  const refs = useRefs();
  const chosen = recipes.find((r) => r.name === search.recipe);
  // What the address names is put into the editor once; from then on the text is the user's.
  const filled = useRef("");
  useEffect(() => {
    const key = search.from ? `run ${search.from}` : `recipe ${search.recipe ?? ""}`;
    const source = search.from ? from.data && writeYaml(from.data.recipe) : chosen && chosen.text;
    if (source === undefined || filled.current === key) return;
    filled.current = key;
    setText(source);
  }, [search.from, search.recipe, from.data, chosen]);
  useEffect(() => sessionStorage.setItem(KEPT, text), [text]);
  const { recipe, wrong } = read(text);
  const [seen, setSeen] = useState("");
  const preview = useAct((r: Record<string, unknown>) => api.post<TrainingPreview>("/training/preview", { recipe: r }), undefined, { quiet: true });
  const start = useAct(
    (r: Record<string, unknown>) => api.post<TrainingRun>("/training/runs", { recipe: r }),
    (run) => {
      sessionStorage.removeItem(KEPT);
      go(path`/training/${run.id}`);
      return `${run.name} is queued`;
    },
    { quiet: true },
  );
  const look = () => {
    if (!recipe) return;
    setSeen(text);
    preview.mutate(recipe);
  };
  useKeys({ "mod+Enter": look });
  const field = (label: string, key: string, list: string[], hint?: string) => (
    <Field label={label} hint={hint}>
      {(id) => (
        <>
          <input id={id} list={`${id}-list`} value={valueIn(text, key)} onChange={(e) => setText(withValue(text, key, e.target.value.trim()))} />
          <datalist id={`${id}-list`}>
            {list.map((v) => (
              <option key={v} value={v} />
            ))}
          </datalist>
        </>
      )}
    </Field>
  );
  return (
    <div className="columns editor-columns">
      <div>
        <Card title="Recipe">
          <Field label="Ready recipe" hint={chosen?.description}>
            {(id) => (
              <select id={id} value={search.recipe ?? ""} onChange={(e) => patch({ recipe: e.target.value, from: undefined }, { replace: true })}>
                <option value="">{search.from ? "The recipe of a run" : "None: written by hand"}</option>
                {recipes.map((r) => (
                  <option key={r.name}>{r.name}</option>
                ))}
              </select>
            )}
          </Field>
          <div className="fields">
            {field("Name", "name", [])}
            {field("Base model", "base", refs.models, "A version, OWNER/REPOSITORY of a hub, or a folder of the server: these are imported first")}
            {field("Dataset", "dataset", refs.datasets)}
          </div>
          <Field label="Recipe (YAML)" hint={wrong ? <span className="bad-ink">{wrong}</span> : "Whatever is not named keeps its default; any argument of the trainer may be passed through."}>
            {(id) => <textarea id={id} className="mono" rows={searching ? 11 : 18} spellCheck={false} aria-invalid={!!wrong} value={text} onChange={(e) => setText(e.target.value)} />}
          </Field>
          {start.error && (
            <div className="note bad" role="alert">
              {start.error.message} {start.error.hint}
            </div>
          )}
          <div className="actions">
            <button type="button" className="button" disabled={!recipe || preview.isPending} onClick={look}>
              {preview.isPending ? "Reading rows…" : "Preview"} <kbd aria-hidden="true">{/Mac/.test(navigator.platform) ? "⌘↵" : "Ctrl ↵"}</kbd>
            </button>
            {!searching && (
              <button type="button" className="button primary" disabled={!recipe || start.isPending} onClick={() => recipe && start.mutate(recipe)}>
                Start the run
              </button>
            )}
          </div>
        </Card>
        {searching && <SearchSettings recipe={recipe} />}
      </div>
      <div aria-live="polite">
        {preview.error ? (
          <Card>
            <Failure error={preview.error} again={look} />
          </Card>
        ) : preview.isPending ? (
          <Card>
            <Loading rows={10} />
          </Card>
        ) : preview.data ? (
          <>
            {seen !== text && <div className="note">The recipe has changed since this preview.</div>}
            <Preview preview={preview.data} />
          </>
        ) : (
          <Card>
            <Empty title="Look before you train">
              <p className="muted">The preview renders a few rows exactly as the trainer will see them, marks what the loss is on, and names every row that is wrong.</p>
            </Empty>
          </Card>
        )}
      </div>
    </div>
  );
}

export default function TrainingNew() {
  const [search] = useSearch();
  const recipes = useGet<Page<ReadyRecipe>>("/training/recipes", undefined, { staleTime: 60_000 });
  return (
    <div className="page">
      <PageHead title={search.search === "1" ? "Start a search" : "Start a run"} crumbs={[["Training", "/training"]]} />
      <Ready query={recipes}>{(page) => <Editor recipes={page.items} />}</Ready>
    </div>
  );
}
