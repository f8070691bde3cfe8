/** The end of a list that goes on. */
export function More({ query, of }: { query: { hasNextPage: boolean; isFetchingNextPage: boolean; fetchNextPage: () => unknown }; of: string }) {
  if (!query.hasNextPage) return null;
  return (
    <div className="pad">
      <button type="button" className="button small" disabled={query.isFetchingNextPage} onClick={() => void query.fetchNextPage()}>
        {query.isFetchingNextPage ? "Loading…" : `More ${of}`}
      </button>
    </div>
  );
}
