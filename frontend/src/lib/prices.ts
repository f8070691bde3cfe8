/** Price classes and what a form says of them. */
import type { OwnPrice, PriceFields, PriceTier } from "../api/types.ts";

type Class = Exclude<keyof PriceFields, "tiers">;

export const CLASSES: [key: Class, label: string][] = [
  ["input", "Input"],
  ["output", "Output"],
  ["cached", "Cached input"],
  ["cache_write", "Cache write"],
  ["cache_write_1h", "Cache write, long"],
  ["reasoning", "Reasoning"],
  ["audio_input", "Audio input"],
  ["image_input", "Image input"],
  ["audio_output", "Audio output"],
  ["image_output", "Image output"],
  ["image", "Per image"],
  ["request", "Per call"],
  ["batch", "Batch share"],
];

export interface PriceDraft {
  model: string;
  provider: string;
  classes: Partial<Record<Class, string>>;
  tiers: string;
}

const bare = (tier: PriceTier) => Object.fromEntries(Object.entries(tier).filter(([, value]) => value !== null));

export function draftOf(price: (PriceFields & { model: string; provider: string }) | undefined): PriceDraft {
  const classes = Object.fromEntries(CLASSES.map(([key]) => [key, price?.[key] == null ? "" : String(price[key])]));
  return { model: price?.model ?? "", provider: price?.provider ?? "", classes, tiers: price?.tiers.length ? JSON.stringify(price.tiers.map(bare), null, 2) : "" };
}

/** The body to send; throws where the tiers are not JSON. */
export function bodyOf(d: PriceDraft): Record<string, unknown> {
  const classes = CLASSES.flatMap(([key]) => (d.classes[key]?.trim() ? [[key, Number(d.classes[key])] as const] : []));
  return { model: d.model.trim(), provider: d.provider.trim(), ...Object.fromEntries(classes), tiers: d.tiers.trim() ? (JSON.parse(d.tiers) as unknown) : [] };
}

/** An own price for the same model and provider, if there is one. */
export function ownOf(price: { model: string; provider: string }, own: OwnPrice[]): OwnPrice | undefined {
  return own.find((o) => o.model === price.model && (o.provider === price.provider || o.provider === ""));
}

/** US dollars per million tokens, as price lists print them. */
export function rate(n: number | null | undefined): string {
  if (n == null) return "–";
  if (n === 0) return "$0";
  // Cents at least; then as many digits as the price has, without the noise of binary fractions.
  const text = String(Number(n.toPrecision(6)));
  const digits = /\.(\d+)$/.exec(text)?.[1]?.length ?? 0;
  return text.includes("e") ? `$${text}` : `$${Number(text).toLocaleString("en-US", { minimumFractionDigits: 2, maximumFractionDigits: Math.max(2, digits) })}`;
}
