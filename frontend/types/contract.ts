// Fails to compile when an answer of the management API no longer fits what the pages read.
// `npm run types` makes schema.d.ts from openapi.json; nothing here is part of the UI's script.
import type * as ui from "../src/api/types.ts";
import type { components } from "./schema.d.ts";

type Schemas = components["schemas"];
/** Optional in the schema means "has a default": the server always sends it. */
type Sent<T> = T extends (infer E)[] ? Sent<E>[] : T extends object ? { [K in keyof T]-?: Sent<Exclude<T[K], undefined>> } : T;
type Fits<Server, Page> = Sent<Server> extends Page ? true : never;

export const contract: [
  Fits<Schemas["Me"], ui.Me>,
  Fits<Schemas["penstock__web__api__account__KeyModel"], ui.Key>,
  Fits<Schemas["KeyWithSecret"], ui.NewKey>,
  Fits<Schemas["Loop"], ui.Loop>,
  Fits<Schemas["TraceModel"], ui.TraceRow>,
  Fits<Schemas["TraceTree"], ui.TraceDetail>,
  Fits<Schemas["SpanDetail"], ui.SpanDetail>,
  Fits<Schemas["ChangeModel"], ui.Change>,
  Fits<Schemas["penstock__datasets__api__DatasetModel"], ui.Dataset>,
  Fits<Schemas["RowModel"], ui.DatasetRow>,
  Fits<Schemas["LeftOutModel"], ui.LeftOut>,
  Fits<Schemas["penstock__evals__api__MetricModel"], ui.Metric>,
  Fits<Schemas["SampleModel"], ui.Sample>,
  Fits<Schemas["GateModel"], ui.GateDecision>,
  Fits<Schemas["ComparisonModel"], ui.Comparison>,
  Fits<Schemas["ModelDetail"], ui.ModelDetail>,
  Fits<Schemas["DeploymentDetail"], ui.DeploymentDetail>,
  Fits<Schemas["ReportModel"], ui.CanaryReport>,
  Fits<Schemas["ProviderModel"], ui.Provider>,
  Fits<Schemas["RouteModel"], ui.GatewayRoute>,
  Fits<Schemas["AuditModel"], ui.Audit>,
  Fits<Schemas["EdgeModel"], ui.Edge>,
  Fits<Schemas["penstock__datasets__api__VersionModel"], ui.DatasetVersion>,
  Fits<Schemas["penstock__evals__api__RunModel"], ui.EvalRun>,
  Fits<Schemas["penstock__training__api__RunModel"], ui.TrainingRun>,
  Fits<Schemas["penstock__registry__api__VersionDetail"], ui.ModelVersionDetail>,
  Fits<Schemas["UsageModel"], ui.Usage>,
  Fits<Schemas["ProbeModel"], ui.Probe>,
  Fits<Schemas["HealthModel"], ui.TargetHealth>,
  Fits<Schemas["LimitsModel"], ui.Limits>,
  Fits<Schemas["NamedLimitsModel"], ui.NamedLimits>,
  Fits<Schemas["BudgetModel"], ui.Budget>,
  Fits<Schemas["SpendModel"], ui.BudgetState>,
  Fits<Schemas["BookModel"], ui.PriceBook>,
  Fits<Schemas["OwnPriceModel"], ui.OwnPrice>,
  Fits<Schemas["PolicyModel-Output"], ui.GuardPolicy>,
  Fits<Schemas["KindModel"], ui.GuardKind>,
  Fits<Schemas["CheckedModel"], ui.GuardCheck>,
  Fits<Schemas["SessionModel"], ui.SessionRow>,
  Fits<Schemas["SessionDetail"], ui.SessionPage>,
  Fits<Schemas["UserModel"], ui.UserRow>,
  Fits<Schemas["OutlineModel"], ui.Outline>,
  Fits<Schemas["DiffModel"], ui.TraceDiff>,
  Fits<Schemas["BarModel"], ui.Bin>,
  Fits<Schemas["FacetModel"], ui.Facet>,
  Fits<Schemas["ViewModel"], ui.SavedView>,
] = [true, true, true, true, true, true, true, true, true, true, true, true, true, true, true, true, true, true, true, true, true, true, true, true, true, true, true, true, true, true, true, true, true, true, true, true, true, true, true, true, true, true, true, true, true, true];
