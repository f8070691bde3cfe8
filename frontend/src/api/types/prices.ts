/** Prices: the book of the release and the project's own. US dollars per million tokens, unless it says otherwise. */
export interface Rates {
  cached: number | null;
  cache_write: number | null;
  cache_write_1h: number | null;
  audio_input: number | null;
  image_input: number | null;
  reasoning: number | null;
  audio_output: number | null;
  image_output: number | null;
}
export interface PriceTier extends Rates {
  above: number;
  input: number | null;
  output: number | null;
}
export interface PriceFields extends Rates {
  input: number;
  output: number;
  image: number | null;
  request: number | null;
  batch: number | null;
  tiers: PriceTier[];
}
export interface OwnPrice extends PriceFields {
  model: string;
  provider: string;
  version: string;
  since: string | null;
  until: string | null;
}
export interface ListedPrice extends PriceFields {
  model: string;
  provider: string;
  as_of: string;
  sources: string[];
  note: string;
  only: boolean;
}
export interface PriceBook {
  version: string;
  about: string;
  items: ListedPrice[];
}
