import { useMemo, useState } from "react";
import { useParams } from "@tanstack/react-router";
import { api, path } from "../api/client.ts";
import type { Change, Page, Prompt, PromptVersion, Rendered } from "../api/types.ts";
import { Card, Code, Dialog, Facts, Field, PageHead, Table, Tabs, When } from "../components/bits.tsx";
import { Messages } from "../components/messages.tsx";
import { Popover } from "../components/popover.tsx";
import { NewVersion } from "../components/prompts/editor.tsx";
import { LabelList, PointLabel, Requests } from "../components/prompts/labels.tsx";
import { Traffic, WhereUsed } from "../components/prompts/traffic.tsx";
import { VariableInputs } from "../components/prompts/variables.tsx";
import { Ready } from "../components/state.tsx";
import { A, useSearch } from "../lib/nav.tsx";
import { valuesOf, variablesOf } from "../lib/prompts.ts";
import { useAct, useGet } from "../lib/query.ts";
import { Labels } from "./prompts.tsx";

function Render({ name, version }: { name: string; version: PromptVersion }) {
  const wanted = variablesOf(version.body);
  const [texts, setTexts] = useState<Record<string, string>>({});
  const [problem, setProblem] = useState("");
  const run = useAct((variables: Record<string, unknown>) => api.post<Rendered>(path`/prompts/${name}/render`, { version: version.number, variables }), undefined, { quiet: true });
  const submit = () => {
    try {
      const values = valuesOf(wanted, texts);
      setProblem("");
      run.mutate(values);
    } catch (error) {
      setProblem((error as Error).message);
    }
  };
  return (
    <form
      className="columns"
      onSubmit={(e) => {
        e.preventDefault();
        submit();
      }}
    >
      <Card title="Variables">
        {wanted.length === 0 && <p className="muted">This version takes no variables.</p>}
        <VariableInputs variables={wanted} texts={texts} onChange={setTexts} />
        <div className="actions">
          <button type="submit" className="button primary" disabled={run.isPending}>
            Render
          </button>
          <A className="button" href={`/playground?prompt=${encodeURIComponent(name)}&version=${version.number}`}>
            Open in the playground
          </A>
        </div>
      </Card>
      <Card title="Result">
        {problem || run.error ? (
          <div className="note bad" role="alert">
            {problem || `${run.error!.message} ${run.error!.hint}`}
          </div>
        ) : run.data ? (
          <Messages body={run.data.kind === "chat" ? run.data.messages : run.data.text} label="Rendered prompt" />
        ) : (
          <p className="muted">Fill in the variables and press Render.</p>
        )}
      </Card>
    </form>
  );
}

function Diff({ name, from, to }: { name: string; from: number; to: number }) {
  const changes = useGet<Change[]>(path`/prompts/${name}/diff`, { from, to });
  return (
    <Ready query={changes} rows={4}>
      {(list) =>
        list.length === 0 ? (
          <p className="muted">
            Version {from} and version {to} say the same.
          </p>
        ) : (
          list.map((change) => (
            <Card key={change.field} title={change.field}>
              <div className="diff">
                {change.pieces.map((p, i) => (p.op === "equal" ? <span key={i}>{p.text}</span> : p.op === "insert" ? <ins key={i}>{p.text}</ins> : <del key={i}>{p.text}</del>))}
              </div>
            </Card>
          ))
        )
      }
    </Ready>
  );
}

/** The rest of a version: what it takes, what it may call, what it must answer, how the model is set. */
function Parts({ version }: { version: PromptVersion }) {
  const { body } = version;
  const variables = variablesOf(body);
  const settings = Object.entries(body.settings);
  return (
    <>
      {variables.length > 0 && (
        <Card title="Variables" flush>
          <Table
            label="Variables"
            rows={variables}
            keyOf={(v) => v.name}
            columns={[
              { head: "Name", cell: (v) => v.name, mono: true },
              { head: "Type", cell: (v) => v.type },
              { head: "Needed", cell: (v) => (v.required ? "yes" : "no") },
              { head: "Default", cell: (v) => (v.default == null ? "–" : typeof v.default === "string" ? v.default : JSON.stringify(v.default)) },
              { head: "What it is", cell: (v) => <span className="muted">{v.description || "–"}</span> },
            ]}
          />
        </Card>
      )}
      {settings.length > 0 && (
        <Card title="Model settings">
          <Facts items={settings.map(([k, v]): [string, string] => [k.replace(/_/g, " "), typeof v === "string" ? v : JSON.stringify(v)])} />
        </Card>
      )}
      {body.tools.length > 0 && (
        <Card title="Tools">
          <Code text={JSON.stringify(body.tools, null, 2)} label="Tools" max={320} />
        </Card>
      )}
      {body.output_schema != null && (
        <Card title="Output schema">
          <Code text={JSON.stringify(body.output_schema, null, 2)} label="Output schema" max={320} />
        </Card>
      )}
    </>
  );
}

function Template({ prompt, version }: { prompt: Prompt; version: PromptVersion }) {
  return (
    <>
      <Requests prompt={prompt} />
      <Card title={`Version ${version.number}`} actions={<PointLabel prompt={prompt} version={version.number} />}>
        {version.body.kind === "chat" ? <Messages body={version.body.messages} label="Template" /> : <Code text={version.body.text} label="Template" />}
        <Facts
          items={[
            ["Reference", version.ref],
            ["Note", version.note],
            ["Hash", <span className="mono">{version.hash.slice(0, 16)}</span>],
            ["Includes", version.includes.length ? version.includes.map((r) => <A key={r} className="spread-link" href={path`/prompts/${r.split("@")[0]!}`}>{r}</A>) : null],
          ]}
        />
      </Card>
      <Parts version={version} />
    </>
  );
}

function Versions({ prompt, versions }: { prompt: Prompt; versions: PromptVersion[] }) {
  const [search, patch] = useSearch();
  const chosen = versions.find((v) => String(v.number) === search.version) ?? versions[0];
  const tab = search.tab ?? "text";
  const against = Number(search.against ?? (chosen ? chosen.number - 1 : 0));
  const rest = useMemo(() => versions.filter((v) => v.number !== chosen?.number), [versions, chosen]);
  if (!chosen) return <p className="muted pad">This prompt has no versions yet.</p>;
  const here = (patchTo: Record<string, string>) => `/prompts/${encodeURIComponent(prompt.name)}?${new URLSearchParams({ version: String(chosen.number), ...patchTo })}`;
  return (
    <div className="master">
      <nav className="master-list" aria-label="Versions">
        {versions.map((v) => (
          <A key={v.number} href={`/prompts/${encodeURIComponent(prompt.name)}?version=${v.number}`} aria-current={v === chosen ? "true" : undefined}>
            <span className="row">
              <b>Version {v.number}</b>
              <Labels labels={prompt.labels} version={v.number} />
            </span>
            <span className="muted ellipsis">{v.note || "no note"}</span>
            <span className="muted">
              <When at={v.created_at} /> · {v.author}
            </span>
          </A>
        ))}
      </nav>
      <div className="master-body">
        <Tabs
          label="Version views"
          current={tab}
          hrefOf={(key) => here(key === "text" ? {} : { tab: key })}
          items={[
            ["text", "Template"],
            ["render", "Render"],
            ["diff", "Compare"],
            ["labels", "Labels"],
            ["traffic", "Traffic"],
            ["used", "Where used"],
            ["use", "Use it"],
          ]}
        />
        {tab === "text" && <Template prompt={prompt} version={chosen} />}
        {tab === "labels" && <LabelList prompt={prompt} />}
        {tab === "traffic" && <Traffic prompt={prompt} />}
        {tab === "used" && <WhereUsed prompt={prompt} />}
        {tab === "render" && <Render key={chosen.number} name={prompt.name} version={chosen} />}
        {tab === "diff" &&
          (rest.length === 0 ? (
            <p className="muted">There is only one version.</p>
          ) : (
            <>
              <p className="row">
                <label>
                  Compare with{" "}
                  <select value={String(against)} onChange={(e) => patch({ against: e.target.value })}>
                    {rest.map((v) => (
                      <option key={v.number} value={v.number}>
                        Version {v.number}
                      </option>
                    ))}
                  </select>
                </label>
                <span className="muted">
                  <del>removed</del> <ins>added</ins> on the way to version {chosen.number}
                </span>
              </p>
              <Diff name={prompt.name} from={rest.some((v) => v.number === against) ? against : rest[0]!.number} to={chosen.number} />
            </>
          ))}
        {tab === "use" && (
          <Card title="From Python">
            <Code label="Snippet" text={`import penstock\n\nclient = penstock.Client(base_url="${window.location.origin}", api_key="psk_YOUR_KEY")\nprompt = client.prompts.get("${prompt.name}", label="production")\nprint(prompt.render(${variablesOf(chosen.body).map((v) => `${v.name}="…"`).join(", ")}))`} />
          </Card>
        )}
      </div>
      <Dialog open={search.edit === "1"} onClose={() => patch({ edit: undefined }, { replace: true })} title={`New version of ${prompt.name}`} wide>
        <NewVersion key={chosen.number} name={prompt.name} base={chosen.body} done={(number) => patch({ version: String(number), edit: undefined, tab: undefined })} />
      </Dialog>
    </div>
  );
}

function Tags({ prompt }: { prompt: Prompt }) {
  const [text, setText] = useState(prompt.tags.join(", "));
  const save = useAct((tags: string[]) => api.put<Prompt>(path`/prompts/${prompt.name}/tags`, { tags }), "Tags saved");
  return (
    <span className="labels">
      {prompt.tags.map((t) => (
        <A key={t} className="badge plain" href={`/prompts?tag=${encodeURIComponent(t)}`}>
          {t}
        </A>
      ))}
      <Popover button="Tags" small>
        {(close) => (
          <form
            className="pad"
            onSubmit={(e) => {
              e.preventDefault();
              save.mutate(text.split(",").map((t) => t.trim()).filter(Boolean));
              close();
            }}
          >
            <Field label="Tags" hint="Separated by commas">
              {(id) => <input id={id} value={text} onChange={(e) => setText(e.target.value)} />}
            </Field>
            <button type="submit" className="button small">
              Save tags
            </button>
          </form>
        )}
      </Popover>
    </span>
  );
}

export default function PromptPage() {
  const { name = "" } = useParams({ strict: false }) as { name?: string };
  const [search, patch] = useSearch();
  const prompt = useGet<Prompt>(path`/prompts/${name}`);
  const versions = useGet<Page<PromptVersion>>(path`/prompts/${name}/versions`, { limit: 200 });
  return (
    <div className="page">
      <PageHead title={name} crumbs={[["Prompts", "/prompts"]]} note={
          prompt.data && (
            <>
              <span className="muted">{prompt.data.description}</span>
              <Tags key={prompt.data.tags.join()} prompt={prompt.data} />
            </>
          )
        }
      >
        <A className="button" href={`/evaluations?${new URLSearchParams({ tab: "optimise", prompt: name })}`}>
          Better ones
        </A>
        <A className="button" href={`/evaluations?${new URLSearchParams({ new: "1", answer: search.version ? `${name}@${search.version}` : name })}`}>
          Evaluate
        </A>
        <button type="button" className="button primary" disabled={!versions.data?.items.length} onClick={() => patch({ edit: "1" })}>
          New version
        </button>
      </PageHead>
      <Ready query={prompt}>{(p) => <Ready query={versions}>{(page) => <Versions prompt={p} versions={page.items} />}</Ready>}</Ready>
    </div>
  );
}
