/** Saved views: a query with its columns under a name, for oneself or for everyone in the project. */
import { useState } from "react";
import { api, path } from "../api/client.ts";
import type { Me, Page, SavedView } from "../api/types.ts";
import { columnsOf, columnsText } from "../lib/columns.ts";
import { A, stringifySearch } from "../lib/nav.tsx";
import { useAct, useGet } from "../lib/query.ts";
import { Field } from "./bits.tsx";
import { Popover } from "./popover.tsx";
import { Loading } from "./state.tsx";

const hrefOf = (v: SavedView, range: string | undefined) => `/traces${stringifySearch({ view: v.name, query: v.query, columns: columnsText(columnsOf(v.columns.join())), range })}`;

function Save({ query, columns, current, done }: { query: string; columns: string[]; current: SavedView | undefined; done: (name: string) => void }) {
  const [name, setName] = useState(current?.name ?? "");
  const [shared, setShared] = useState(current?.shared ?? false);
  const save = useAct(
    () => api.put<SavedView>(path`/views/${name.trim()}`, { query, columns, shared }),
    () => {
      done(name.trim());
      return `Saved the view ${name.trim()}`;
    },
  );
  return (
    <form
      className="view-form"
      onSubmit={(e) => {
        e.preventDefault();
        if (name.trim()) save.mutate(undefined);
      }}
    >
      <Field label="Save this query and its columns as">{(id) => <input id={id} maxLength={100} placeholder="slow and failing" value={name} onChange={(e) => setName(e.target.value)} />}</Field>
      <label className="row check">
        <input type="checkbox" checked={shared} onChange={(e) => setShared(e.target.checked)} /> Share with everyone in the project
      </label>
      <button type="submit" className="button small primary" disabled={!name.trim() || save.isPending}>
        Save view
      </button>
    </form>
  );
}

export function Views({ query, columns, current, range, onName }: { query: string; columns: string[]; current: string | undefined; range: string | undefined; onName: (name: string | undefined) => void }) {
  const views = useGet<Page<SavedView>>("/views", undefined, { staleTime: 15_000 });
  const me = useGet<Me>("/me", undefined, { staleTime: 60_000 });
  const remove = useAct((name: string) => api.del(path`/views/${name}`), (_r, name) => {
    if (name === current) onName(undefined);
    return `Removed the view ${name}`;
  });
  const items = views.data?.items ?? [];
  const chosen = items.find((v) => v.name === current);
  const changed = chosen && (chosen.query !== query || columnsText(columnsOf(chosen.columns.join())) !== columnsText(columns));
  const said = chosen ? `${chosen.name}${changed ? " (changed)" : ""}` : "Views";
  return (
    <Popover label={`Views${chosen ? `: ${said}` : ""}`} button={<span className="ellipsis view-name">{said}</span>} wide>
      {(close) => (
        <>
          {views.error ? (
            <p className="bad-ink pad">{views.error.message}</p>
          ) : !views.data ? (
            <Loading rows={3} />
          ) : items.length === 0 ? (
            <p className="muted pad">No views yet. A view keeps a query and its columns under a name.</p>
          ) : (
            <ul className="view-list" aria-label="Saved views">
              {items.map((v) => (
                <li key={`${v.owner ?? ""}/${v.name}`}>
                  <A href={hrefOf(v, range)} aria-current={v.name === current ? "true" : undefined} onClick={close}>
                    <b className="ellipsis">{v.name}</b>
                    <span className="mono muted ellipsis">{v.query || "everything"}</span>
                  </A>
                  <span className="muted">{v.shared ? "shared" : "yours"}</span>
                  {(!v.owner || v.owner === me.data?.name || v.owner === me.data?.id || me.data?.role === "owner" || me.data?.role === "admin") && (
                    <button type="button" className="icon-button" aria-label={`Remove the view ${v.name}`} disabled={remove.isPending} onClick={() => remove.mutate(v.name)}>
                      <svg viewBox="0 0 16 16" aria-hidden="true">
                        <path d="M4 4l8 8M12 4l-8 8" />
                      </svg>
                    </button>
                  )}
                </li>
              ))}
            </ul>
          )}
          <Save
            query={query}
            columns={columns}
            current={chosen}
            done={(name) => {
              onName(name);
              close();
            }}
          />
        </>
      )}
    </Popover>
  );
}
