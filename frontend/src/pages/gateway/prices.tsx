import { useEffect, useState } from "react";
import { api, query } from "../../api/client.ts";
import type { ListedPrice, OwnPrice, Page, PriceBook, PriceFields } from "../../api/types.ts";
import { Card, Dialog, Table, Tabs, When, type Column } from "../../components/bits.tsx";
import { Confirm, GatewayPage } from "../../components/gateway.tsx";
import { Classes, PriceForm, Sources } from "../../components/pricedetail.tsx";
import { Empty, Ready } from "../../components/state.tsx";
import { full, percent, plural } from "../../lib/format.ts";
import { A, stringifySearch, useSearch } from "../../lib/nav.tsx";
import { ownOf, rate } from "../../lib/prices.ts";
import { useAct, useGet } from "../../lib/query.ts";

const FIRST = 150;
const address = (search: Record<string, string | undefined>) => `/gateway/prices${stringifySearch(search)}`;

function rates<T extends PriceFields>(): Column<T>[] {
  return [
    { head: "Input", cell: (p) => rate(p.input), num: true },
    { head: "Cached", cell: (p) => rate(p.cached), num: true },
    { head: "Cache write", cell: (p) => rate(p.cache_write), num: true },
    { head: "Output", cell: (p) => rate(p.output), num: true },
    { head: "Batch", cell: (p) => (p.batch === null ? "–" : percent(p.batch, 0)), num: true },
    { head: "Tiers", cell: (p) => (p.tiers.length ? full(p.tiers.length) : "–"), num: true },
  ];
}

function Own({ items }: { items: OwnPrice[] }) {
  const [going, setGoing] = useState<OwnPrice | null>(null);
  const remove = useAct((p: OwnPrice) => api.del(`/prices${query({ model: p.model, provider: p.provider })}`), "Price dropped; the list price holds again");
  return (
    <Card flush>
      <Table
        label="Own prices"
        rows={items}
        keyOf={(p) => p.version}
        columns={[
          { head: "Model", cell: (p) => <A href={address({ tab: "own", model: p.model, provider: p.provider || undefined })}>{p.model}</A>, mono: true },
          { head: "Provider", cell: (p) => p.provider || "any" },
          ...rates<OwnPrice>(),
          { head: "Version", cell: (p) => p.version, mono: true },
          { head: "Since", cell: (p) => <When at={p.since} /> },
          {
            head: "Action",
            cell: (p) => (
              <button type="button" className="button small" aria-label={`Drop the price of ${p.model}`} onClick={() => setGoing(p)}>
                Drop
              </button>
            ),
          },
        ]}
      />
      <Confirm open={going !== null} title={`Drop the price of ${going?.model ?? ""}?`} act="Drop price" onYes={() => going && remove.mutate(going)} onNo={() => setGoing(null)}>
        <p>Later calls are priced by the book again. What earlier calls cost stays as it was.</p>
      </Confirm>
    </Card>
  );
}

function Listed({ items, own, all, search }: { items: ListedPrice[]; own: OwnPrice[]; all: boolean; search: Record<string, string> }) {
  const shown = all ? items : items.slice(0, FIRST);
  return (
    <>
      <Card flush>
        <Table
          label="List prices"
          rows={shown}
          keyOf={(p, i) => `${p.model} ${p.provider} ${i}`}
          columns={[
            { head: "Model", cell: (p) => <A href={address({ ...search, model: p.model, provider: p.provider })}>{p.model}</A>, mono: true },
            { head: "Provider", cell: (p) => (p.only ? `${p.provider} only` : p.provider) },
            ...rates<ListedPrice>(),
            { head: "As of", cell: (p) => p.as_of },
            { head: "Own", cell: (p) => (ownOf(p, own) ? "yes" : "–") },
          ]}
        />
      </Card>
      {shown.length < items.length && (
        <A className="button" href={address({ ...search, all: "1" })}>
          Show all {full(items.length)}
        </A>
      )}
    </>
  );
}

function Find() {
  const [search, patch] = useSearch();
  const [q, setQ] = useState(search.q ?? "");
  useEffect(() => {
    if (q === (search.q ?? "")) return;
    const timer = setTimeout(() => patch({ q: q.trim() || undefined, all: undefined }, { replace: true }), 250);
    return () => clearTimeout(timer);
  }, [q, search.q, patch]);
  return <input type="search" className="grow" placeholder="Part of a model's name" aria-label="Search models" value={q} onChange={(e) => setQ(e.target.value)} />;
}

export default function Prices() {
  const [search, patch] = useSearch();
  const tab = search.tab === "own" ? "own" : "book";
  const own = useGet<Page<OwnPrice>>("/prices");
  const book = useGet<PriceBook>("/prices/book", { q: search.q }, { keep: true, staleTime: 60_000 });
  const close = () => patch({ model: undefined, provider: undefined, set: undefined }, { replace: true });
  const mine = own.data?.items ?? [];
  const listed = book.data?.items.find((p) => p.model === search.model && p.provider === (search.provider ?? ""));
  const set = mine.find((p) => p.model === search.model && p.provider === (search.provider ?? ""));
  const price = tab === "own" ? set : listed;
  return (
    <GatewayPage
      tab="prices"
      note={book.data ? `The book of ${book.data.version}, and prices of your own` : "The book of list prices, and prices of your own"}
      actions={
        <A className="button primary" href={address({ tab, set: "1" })}>
          Set a price
        </A>
      }
    >
      <Tabs label="Prices" current={tab} items={[["book", "List prices"], ["own", `Own prices${own.data ? ` (${mine.length})` : ""}`]]} hrefOf={(k) => address({ tab: k === "own" ? "own" : undefined })} />
      {tab === "own" ? (
        <Ready query={own}>
          {(page) =>
            page.items.length ? (
              <Own items={page.items} />
            ) : (
              <Empty title="No prices of your own">
                <p className="muted">A price that you set wins over the book's, for one provider or for all.</p>
              </Empty>
            )
          }
        </Ready>
      ) : (
        <>
          <div className="filters">
            <Find />
            {book.data && <span className="muted">{plural(book.data.items.length, "price")}, US dollars per million tokens</span>}
          </div>
          <Ready query={book}>{(found) => (found.items.length ? <Listed items={found.items} own={mine} all={search.all === "1"} search={search} /> : <Empty title={`No list price for “${search.q ?? ""}”`} />)}</Ready>
        </>
      )}
      <Dialog open={!!price && search.set !== "1"} onClose={close} title={price ? `${price.model}${price.provider ? ` at ${price.provider}` : ""}` : ""} wide>
        {price && (
          <>
            <Classes price={price} />
            {tab === "book" && listed && <Sources price={listed} />}
            <div className="actions">
              <button type="button" className="button primary" onClick={() => patch({ set: "1" })}>
                {tab === "own" ? "Change" : "Set a price of your own"}
              </button>
            </div>
          </>
        )}
      </Dialog>
      <Dialog open={search.set === "1"} onClose={close} title="A price of your own" wide>
        <PriceForm key={`${search.model ?? ""} ${search.provider ?? ""}`} from={price} own={tab === "own" ? set : undefined} onDone={close} />
      </Dialog>
    </GatewayPage>
  );
}
