/** Releases: traffic split between arms, measured and decided upon. */
export interface ReleaseSubject {
  type: string;
  route: string;
  deployment: string;
  prompt: string;
  label: string;
}
export interface PlannedArm {
  name: string;
  weight: number;
  provider: string;
  model: string;
  route: string;
  version: number | null;
  params: Record<string, unknown>;
}
export interface ArmMetric {
  mean: number;
  low: number;
  high: number;
  n: number;
}
export interface ReleaseArm {
  name: string;
  /** Its share of the calls now. */
  weight: number;
  calls: number;
  plan: PlannedArm;
  metrics: Record<string, ArmMetric>;
}
export interface ReleaseComparison {
  arm: string;
  metric: string;
  difference: number;
  /** Null: nothing is known on this side yet. */
  low: number | null;
  high: number | null;
  /** Whether these are shares of the control's mean. */
  relative: boolean;
  harm: number;
  p_value: number;
  /** harmful, better, safe or open. */
  verdict: string;
}
export interface RatioCheck {
  ok: boolean;
  p_value: number;
  counts: Record<string, number>;
  expected: Record<string, number>;
}
export interface ReleaseDecision {
  at: string;
  decision: string;
  reason: string;
  evidence: Record<string, unknown>;
  by: string;
}
export interface ReleaseMetric {
  name: string;
  /** down where less is better, up where more is. */
  direction: string;
  harm: number;
  relative: boolean;
}
export interface Release {
  id: string;
  name: string;
  kind: string;
  state: string;
  subject: ReleaseSubject;
  step: number;
  steps: { weight: number; min_calls: number; min_seconds: number }[];
  /** Arm → its share of the calls now; of a shadow's arm, the share copied. */
  shares: Record<string, number>;
  winner: string;
  alpha: number;
  sticky_by: string;
  auto_promote: boolean;
  author: string;
  created_at: string;
  ended_at: string | null;
}
export interface ReleaseJudging {
  /** Part of the calls whose answers are judged. */
  share: number;
  /** Answers of judges that were paid for. */
  calls: number;
  spent_usd: number;
  cap_usd: number;
  stopped: boolean;
}
export interface ReleaseDetail extends Release {
  /** The stored suite that scorers and judge were taken from; empty: none. */
  suite: string;
  /** Null: no judge looks at answers. */
  judging: ReleaseJudging | null;
  arms: ReleaseArm[];
  metrics: ReleaseMetric[];
  comparisons: ReleaseComparison[];
  ratio_check: RatioCheck;
  decisions: ReleaseDecision[];
}
