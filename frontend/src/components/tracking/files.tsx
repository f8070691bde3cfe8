/** What a run left: a tree of files, and the chosen one shown without running anything of it. */
import { useContext, useEffect, useState } from "react";
import { useQuery } from "@tanstack/react-query";
import { api, currentProject, query, type ApiError } from "../../api/client.ts";
import type { TrackedFile } from "../../api/types.ts";
import { bytes, full } from "../../lib/format.ts";
import { type Grid, gridOfCsv, gridOfJson, MOST_IMAGE, MOST_TEXT, shownAs, textOf } from "../../lib/files.ts";
import { ProjectContext } from "../../lib/nav.tsx";
import { useGet } from "../../lib/query.ts";
import { Card, Code, Table } from "../bits.tsx";
import { Markdown } from "../markdown.tsx";
import { Empty, Ready } from "../state.tsx";

const MOST_ROWS = 200;
const last = (path: string) => path.slice(path.lastIndexOf("/") + 1);

interface Chosen {
  /** Address of the artifacts, such as `/runs/xrn_1/artifacts`. */
  base: string;
  file: string;
  onFile: (path: string) => void;
}

function Folder({ at, base, file, onFile }: Chosen & { at: TrackedFile }) {
  const [open, setOpen] = useState(file.startsWith(`${at.path}/`));
  useEffect(() => {
    if (file.startsWith(`${at.path}/`)) setOpen(true);
  }, [file, at.path]);
  return (
    <li>
      <button type="button" className="file-entry" aria-expanded={open} onClick={() => setOpen(!open)}>
        <span aria-hidden="true">{open ? "▾" : "▸"}</span>
        <span className="ellipsis">{last(at.path)}</span>
      </button>
      {open && <Entries path={at.path} base={base} file={file} onFile={onFile} />}
    </li>
  );
}

function Entries({ path, base, file, onFile }: Chosen & { path: string }) {
  const found = useGet<TrackedFile[]>(base, { path }, { staleTime: 10_000 });
  return (
    <Ready query={found} rows={2}>
      {(entries) => (
        <ul className="file-tree">
          {entries.map((e) =>
            e.is_dir ? (
              <Folder key={e.path} at={e} base={base} file={file} onFile={onFile} />
            ) : (
              <li key={e.path}>
                <button type="button" className="file-entry" aria-pressed={e.path === file} onClick={() => onFile(e.path)} title={e.path}>
                  <span className="ellipsis">{last(e.path)}</span>
                  <span className="muted small">{bytes(e.size)}</span>
                </button>
              </li>
            ),
          )}
        </ul>
      )}
    </Ready>
  );
}

function Rows({ grid, label }: { grid: Grid; label: string }) {
  return (
    <>
      <Table label={label} rows={grid.rows.slice(0, MOST_ROWS)} keyOf={(_r, i) => String(i)} columns={grid.head.map((h, i) => ({ head: h || `column ${i + 1}`, cell: (r: string[]) => <span title={r[i]}>{r[i]}</span> }))} />
      {grid.rows.length > MOST_ROWS && <p className="muted small pad">{`The first ${full(MOST_ROWS)} of ${full(grid.rows.length)} rows that were read.`}</p>}
    </>
  );
}

/** An image as part of the page itself: the server's own answers are only ever saved. */
function Picture({ data, type, label }: { data: ArrayBuffer; type: string; label: string }) {
  const [address, setAddress] = useState("");
  useEffect(() => {
    const reader = new FileReader();
    reader.onload = () => setAddress(String(reader.result));
    reader.readAsDataURL(new Blob([data], { type }));
    return () => reader.abort();
  }, [data, type]);
  return address ? <img className="file-image" src={address} alt={label} /> : null;
}

function Words({ path, data, whole }: { path: string; data: ArrayBuffer; whole: boolean }) {
  const text = textOf(data, whole);
  if (text === null) return <p className="muted">This file is no text; save it to open it.</p>;
  const shown = shownAs(path).as;
  let said = text;
  let grid: Grid | null = shown === "table" ? gridOfCsv(text, /\.tsv$/i.test(path) ? "\t" : ",", whole) : null;
  if (shown === "json" && whole) {
    try {
      const value: unknown = JSON.parse(text);
      grid = gridOfJson(value);
      said = JSON.stringify(value, null, 2);
    } catch {
      said = text; // Named .json and no JSON: it is shown as it stands.
    }
  }
  return (
    <>
      {!whole && <p className="muted small">{`The first ${bytes(MOST_TEXT)} of it.`}</p>}
      {/\.html?$/i.test(path) && <p className="muted small">A page that a run left is shown as its text; it is never opened here.</p>}
      {grid ? <Rows grid={grid} label={last(path)} /> : /\.md$/i.test(path) ? <Markdown source={said} /> : <Code text={said || "(empty)"} label={last(path)} max={560} />}
    </>
  );
}

function Preview({ base, file }: { base: string; file: TrackedFile }) {
  const project = useContext(ProjectContext);
  const shown = shownAs(file.path);
  const most = shown.as === "image" ? MOST_IMAGE : MOST_TEXT;
  const tooBig = shown.as === "image" && file.size > MOST_IMAGE;
  const data = useQuery<ArrayBuffer, ApiError>({
    queryKey: [project, base, "content", file.sha256],
    queryFn: ({ signal }) => api.bytes(`${base}/content`, { path: file.path, first: most }, signal),
    enabled: shown.as !== "none" && !tooBig,
    staleTime: Infinity,
    gcTime: 60_000,
  });
  const href = `/api/v1${base}/content${query({ path: file.path, project: currentProject() })}`;
  return (
    <Card
      title={last(file.path)}
      actions={
        <>
          <span className="muted small">{bytes(file.size)}</span>
          <a className="button small" href={href} download={last(file.path)}>
            Save
          </a>
        </>
      }
    >
      {shown.as === "none" || tooBig ? (
        <p className="muted">{tooBig ? "This image is too big to be shown here; save it to open it." : "Files of this kind are not shown here; save it to open it."}</p>
      ) : (
        <Ready query={data} rows={6}>
          {(d) => (shown.as === "image" ? <Picture data={d} type={shown.type} label={last(file.path)} /> : <Words path={file.path} data={d} whole={file.size <= most} />)}
        </Ready>
      )}
      <p className="muted small spaced wrap mono">{`SHA-256 ${file.sha256}`}</p>
    </Card>
  );
}

/** The chosen file's entry is read from its folder's list. */
function Shown({ base, file }: { base: string; file: string }) {
  const folder = file.includes("/") ? file.slice(0, file.lastIndexOf("/")) : "";
  const found = useGet<TrackedFile[]>(base, { path: folder }, { staleTime: 10_000 });
  return (
    <Ready query={found} rows={4}>
      {(entries) => {
        const entry = entries.find((e) => e.path === file && !e.is_dir);
        return entry ? <Preview key={entry.path} base={base} file={entry} /> : <Empty title="There is no such file" />;
      }}
    </Ready>
  );
}

export function Files({ base, file, onFile, empty }: Chosen & { empty: string }) {
  const top = useGet<TrackedFile[]>(base, { path: "" }, { staleTime: 10_000 });
  return (
    <Ready query={top} rows={4}>
      {(entries) =>
        entries.length ? (
          <div className="files">
            <Card title="Files">
              <Entries path="" base={base} file={file} onFile={onFile} />
            </Card>
            {file ? (
              <Shown base={base} file={file} />
            ) : (
              <Card>
                <p className="muted">Choose a file to look at it.</p>
              </Card>
            )}
          </div>
        ) : (
          <Empty title="No files">
            <p className="muted">{empty}</p>
          </Empty>
        )
      }
    </Ready>
  );
}
