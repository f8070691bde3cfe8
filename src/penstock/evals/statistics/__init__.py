"""The statistics of evaluations: intervals, paired tests, agreement, rankings and power, in numpy alone."""

from penstock.evals.statistics.bootstrap import bootstrap_interval
from penstock.evals.statistics.bradley_terry import Ranked, Strengths, bootstrap_ranks, bradley_terry
from penstock.evals.statistics.clustered import (
    clustered_difference,
    clustered_interval,
    clustered_standard_error,
)
from penstock.evals.statistics.holm import holm
from penstock.evals.statistics.interval import Interval
from penstock.evals.statistics.kappa import cohen_kappa, fleiss_kappa
from penstock.evals.statistics.krippendorff import krippendorff_alpha
from penstock.evals.statistics.mcnemar import mcnemar_exact
from penstock.evals.statistics.mean import t_interval
from penstock.evals.statistics.paired import PairedTable, newcombe_interval, tango_interval
from penstock.evals.statistics.pass_at_k import pass_at_k, pass_at_k_interval
from penstock.evals.statistics.permutation import paired_permutation
from penstock.evals.statistics.power import (
    minimum_detectable_effect,
    paired_power,
    pairs_needed,
    two_sample_size,
)
from penstock.evals.statistics.prediction_powered import prediction_powered
from penstock.evals.statistics.proportion import clopper_pearson, wilson
from penstock.evals.statistics.quantile import quantile_interval

__all__ = [
    "Interval",
    "PairedTable",
    "Ranked",
    "Strengths",
    "bootstrap_interval",
    "bootstrap_ranks",
    "bradley_terry",
    "clopper_pearson",
    "clustered_difference",
    "clustered_interval",
    "clustered_standard_error",
    "cohen_kappa",
    "fleiss_kappa",
    "holm",
    "krippendorff_alpha",
    "mcnemar_exact",
    "minimum_detectable_effect",
    "newcombe_interval",
    "paired_permutation",
    "paired_power",
    "pairs_needed",
    "pass_at_k",
    "pass_at_k_interval",
    "prediction_powered",
    "quantile_interval",
    "t_interval",
    "tango_interval",
    "two_sample_size",
    "wilson",
]
