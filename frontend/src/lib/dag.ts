/** Places the nodes of a graph without cycles in columns, from what came first to what came of it. */
export interface DagNode {
  kind: string;
  ref: string;
  label: string;
  /** More of the same kind and role that this node stands for. */
  more?: number;
}
export interface DagEdge {
  from: string;
  to: string;
  role: string;
}
export interface Placed extends DagNode {
  id: string;
  column: number;
  row: number;
}

export const idOf = (n: { kind: string; ref: string }) => `${n.kind}:${n.ref}`;

/** More than `most` nodes of a kind with the very same neighbours (traces above all) become one with a number. */
export function folded(nodes: DagNode[], edges: DagEdge[], keep: string, most = 4): { nodes: DagNode[]; edges: DagEdge[] } {
  const around = new Map<string, string[]>();
  for (const e of edges) {
    around.set(e.from, [...(around.get(e.from) ?? []), `>${e.role}>${e.to}`]);
    around.set(e.to, [...(around.get(e.to) ?? []), `<${e.role}<${e.from}`]);
  }
  const groups = new Map<string, DagNode[]>();
  for (const n of nodes) {
    const id = idOf(n);
    const key = id === keep ? id : `${n.kind} ${(around.get(id) ?? []).sort().join(" ")}`;
    const group = groups.get(key);
    if (group) group.push(n);
    else groups.set(key, [n]);
  }
  const gone = new Set<string>();
  const out: DagNode[] = [];
  for (const group of groups.values()) {
    if (group.length <= most) out.push(...group);
    else {
      out.push({ ...group[0]!, more: group.length - 1 });
      for (const n of group.slice(1)) gone.add(idOf(n));
    }
  }
  return { nodes: out, edges: edges.filter((e) => !gone.has(e.from) && !gone.has(e.to)) };
}

/** Columns by the longest way from a beginning; rows so that lines cross little. */
export function layout(nodes: DagNode[], edges: DagEdge[]): Placed[] {
  const ids = new Set(nodes.map(idOf));
  const known = edges.filter((e) => ids.has(e.from) && ids.has(e.to) && e.from !== e.to);
  const after = new Map<string, string[]>();
  const before = new Map<string, string[]>();
  for (const e of known) {
    after.set(e.from, [...(after.get(e.from) ?? []), e.to]);
    before.set(e.to, [...(before.get(e.to) ?? []), e.from]);
  }
  const waiting = new Map(nodes.map((n) => [idOf(n), before.get(idOf(n))?.length ?? 0]));
  const column = new Map<string, number>();
  const ready = nodes.map(idOf).filter((id) => waiting.get(id) === 0);
  for (const id of ready) column.set(id, 0);
  for (let i = 0; i < ready.length; i++) {
    for (const next of after.get(ready[i]!) ?? []) {
      column.set(next, Math.max(column.get(next) ?? 0, (column.get(ready[i]!) ?? 0) + 1));
      waiting.set(next, waiting.get(next)! - 1);
      if (waiting.get(next) === 0) ready.push(next);
    }
  }
  // What came from nowhere stands just before what it first went into, not far away from it.
  for (const n of nodes) {
    const next = after.get(idOf(n));
    if (!before.has(idOf(n)) && next) column.set(idOf(n), Math.max(0, Math.min(...next.map((id) => column.get(id) ?? 0)) - 1));
  }
  // What a cycle holds has no beginning: it stands in the first column.
  const columns: string[][] = [];
  for (const n of nodes) (columns[column.get(idOf(n)) ?? 0] ??= []).push(idOf(n));
  const row = new Map<string, number>();
  const middle = (id: string, near: Map<string, string[]>) => {
    const rows = (near.get(id) ?? []).map((other) => row.get(other)).filter((r) => r !== undefined);
    return rows.length ? rows.reduce((sum, r) => sum + r, 0) / rows.length : null;
  };
  const place = (list: string[], near: Map<string, string[]>) => {
    const want = new Map(list.map((id, i) => [id, middle(id, near) ?? row.get(id) ?? i]));
    list.sort((a, b) => want.get(a)! - want.get(b)!);
    list.forEach((id, i) => row.set(id, i - (list.length - 1) / 2));
  };
  for (let turn = 0; turn < 4; turn++) {
    const forward = turn % 2 === 0;
    for (const list of forward ? columns : [...columns].reverse()) if (list) place(list, forward ? before : after);
  }
  return nodes.map((n) => ({ ...n, id: idOf(n), column: column.get(idOf(n)) ?? 0, row: row.get(idOf(n)) ?? 0 }));
}
