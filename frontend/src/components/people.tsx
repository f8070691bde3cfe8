/** What the lists of sessions and users have in common. */
import { useEffect, useState } from "react";
import { useSearch } from "../lib/nav.tsx";

export function PrefixBox({ of }: { of: string }) {
  const [search, patch] = useSearch();
  const [text, setText] = useState(search.prefix ?? "");
  useEffect(() => setText(search.prefix ?? ""), [search.prefix]);
  useEffect(() => {
    if (text === (search.prefix ?? "")) return;
    const timer = setTimeout(() => patch({ prefix: text || undefined }, { replace: true }), 350);
    return () => clearTimeout(timer);
  }, [text, search.prefix, patch]);
  return <input type="search" aria-label={`Find a ${of} by its beginning`} placeholder={`${of} begins with…`} value={text} onChange={(e) => setText(e.target.value)} />;
}

export function OrderSelect() {
  const [search, patch] = useSearch();
  return (
    <select aria-label="Order" value={search.order ?? ""} onChange={(e) => patch({ order: e.target.value || undefined }, { replace: true })}>
      <option value="">last seen first</option>
      <option value="cost">costliest first</option>
    </select>
  );
}
