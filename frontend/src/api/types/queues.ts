/** Annotation queues, their items and who agrees with whom. */
export type LabelType = "categorical" | "number" | "boolean" | "text" | "correction" | "preference";

/** One question that every item of a queue is asked. */
export interface QueueLabel {
  name: string;
  type: LabelType;
  options: string[];
  /** Least and greatest number. */
  range: [number, number] | null;
  required: boolean;
  /** The key that goes to this question. */
  key: string;
  help: string;
}
export type QueueKind = "trace" | "row" | "pair";
export type QueueOrder = "fifo" | "uncertainty" | "disagreement" | "diversity" | "drift";
export type Values = Record<string, unknown>;

export interface QueueProgress {
  items: number;
  done: number;
  open: number;
  reserved: number;
  skipped: number;
  /** Done, with answers that differ and nobody's decision. */
  disputed: number;
  /** Items whose trace is no longer stored. */
  gone: number;
}
/** How far people agree on one question, with a 95 % interval. */
export interface Agreement {
  label: string;
  /** cohen, fleiss, alpha; same: the share of items on which all answers are alike. */
  kind: string;
  value: number;
  low: number;
  high: number;
  n: number;
}
export interface Annotator {
  name: string;
  answered: number;
  skipped: number;
  gold_asked: number;
  gold_right: number;
  gold_low: number | null;
  gold_high: number | null;
}
export interface Queue {
  name: string;
  kind: QueueKind;
  guidelines: string;
  labels: QueueLabel[];
  overlap: number;
  reserve_minutes: number;
  order: QueueOrder;
  suggestions: boolean;
  created_by: string;
  created_at: string;
  /** Whether the caller may change the queue and decide. */
  leads: boolean;
  progress: QueueProgress;
}
export interface QueueDetail extends Queue {
  agreement: Agreement[];
  people: Annotator[];
}
/** What people look at: messages and an answer, a row's own columns, or two answers side by side. */
export type Content = Record<string, unknown>;

export interface Suggestion {
  values: Values;
  confidence: Record<string, number>;
  model: string;
}
/** An item in the caller's hands. */
export interface QueueItem {
  id: string;
  kind: QueueKind;
  content: Content;
  suggestion: Suggestion | null;
  draft: Values | null;
  comment: string;
}
export interface NextItem {
  item: QueueItem | null;
  reserved_until: string | null;
}
/** What one person did with an item. */
export interface QueueWork {
  id: string;
  annotator: string;
  state: "reserved" | "answered" | "skipped";
  values: Values | null;
  comment: string;
  updated_at: string;
}
export interface QueueRow {
  id: string;
  state: "open" | "done" | "gone";
  trace_id: string;
  answers: number;
  disagreement: number;
  /** What was decided for good. */
  final: Values | null;
  adjudicated_by: string;
  created_at: string;
  work: QueueWork[];
  /** Null in lists, and when it is no longer stored. */
  content: Content | null;
}
export interface ItemsAdded {
  added: number;
  /** In the queue already. */
  known: number;
  /** Reason → how many were left out for it. */
  skipped: Record<string, number>;
}
export interface QueueExport {
  dataset: string;
  number: number;
  rows: number;
  skipped: Record<string, number>;
}
export interface ScoreConfig {
  name: string;
  kind: "number" | "categorical" | "boolean";
  low: number | null;
  high: number | null;
  options: string[];
  description: string;
  updated_at: string;
}
