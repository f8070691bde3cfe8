/** The list a trace was opened from, so that its page can go to the next and the previous one, also after a reload. */
const KEY = "penstock.listing";
const MOST = 2_000;

interface Listing {
  ids: string[];
  /** The list's own address. */
  href: string;
}

export function keepListing(ids: string[], href: string): void {
  try {
    sessionStorage.setItem(KEY, JSON.stringify({ ids: ids.slice(0, MOST), href }));
  } catch {
    return; // Without storage there is no next and previous, and nothing else is lost.
  }
}

export interface Place {
  href: string;
  at: number;
  of: number;
  previous: string | undefined;
  next: string | undefined;
}

export function placeOf(id: string): Place | null {
  try {
    const kept = JSON.parse(sessionStorage.getItem(KEY) ?? "null") as Listing | null;
    const at = kept ? kept.ids.indexOf(id) : -1;
    return kept && at >= 0 ? { href: kept.href, at, of: kept.ids.length, previous: kept.ids[at - 1], next: kept.ids[at + 1] } : null;
  } catch {
    return null;
  }
}
