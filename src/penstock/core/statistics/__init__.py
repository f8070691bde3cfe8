"""The statistics of evaluations: intervals, paired tests, agreement, rankings and power, in numpy alone."""

from penstock.core.statistics.best_arm import found_best, top_two_shares, tracking_shares
from penstock.core.statistics.bootstrap import bootstrap_interval, bootstrap_means
from penstock.core.statistics.bradley_terry import Ranked, Strengths, bootstrap_ranks, bradley_terry
from penstock.core.statistics.clustered import (
    clustered_difference,
    clustered_interval,
    clustered_standard_error,
)
from penstock.core.statistics.holm import holm
from penstock.core.statistics.interval import Interval
from penstock.core.statistics.kappa import cohen_kappa, fleiss_kappa
from penstock.core.statistics.krippendorff import krippendorff_alpha
from penstock.core.statistics.mcnemar import mcnemar_exact
from penstock.core.statistics.mean import t_interval
from penstock.core.statistics.mean_power import (
    mean_detectable_effect,
    mean_pairs_needed,
    mean_power,
)
from penstock.core.statistics.paired import PairedTable, newcombe_interval, tango_interval
from penstock.core.statistics.paired_t import clustered_t, paired_t
from penstock.core.statistics.pass_at_k import pass_at_k, pass_at_k_interval
from penstock.core.statistics.permutation import paired_permutation
from penstock.core.statistics.power import (
    minimum_detectable_effect,
    paired_power,
    pairs_needed,
    two_sample_size,
)
from penstock.core.statistics.prediction_powered import prediction_powered
from penstock.core.statistics.proportion import clopper_pearson, wilson
from penstock.core.statistics.quantile import quantile_interval
from penstock.core.statistics.sample_ratio import log_mismatch_evidence
from penstock.core.statistics.split_share import log_excess_evidence

__all__ = [
    "Interval",
    "PairedTable",
    "Ranked",
    "Strengths",
    "bootstrap_interval",
    "bootstrap_means",
    "bootstrap_ranks",
    "bradley_terry",
    "clopper_pearson",
    "clustered_difference",
    "clustered_interval",
    "clustered_standard_error",
    "clustered_t",
    "cohen_kappa",
    "fleiss_kappa",
    "found_best",
    "holm",
    "krippendorff_alpha",
    "log_excess_evidence",
    "log_mismatch_evidence",
    "mcnemar_exact",
    "mean_detectable_effect",
    "mean_pairs_needed",
    "mean_power",
    "minimum_detectable_effect",
    "newcombe_interval",
    "paired_permutation",
    "paired_power",
    "paired_t",
    "pairs_needed",
    "pass_at_k",
    "pass_at_k_interval",
    "prediction_powered",
    "quantile_interval",
    "t_interval",
    "tango_interval",
    "top_two_shares",
    "tracking_shares",
    "two_sample_size",
    "wilson",
]
