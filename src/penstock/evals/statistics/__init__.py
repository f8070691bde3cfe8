"""The statistics of evaluations: intervals, paired tests, corrections and power, in numpy alone."""

from penstock.evals.statistics.bootstrap import bootstrap_interval
from penstock.evals.statistics.holm import holm
from penstock.evals.statistics.interval import Interval
from penstock.evals.statistics.mcnemar import mcnemar_exact
from penstock.evals.statistics.mean import t_interval
from penstock.evals.statistics.paired import PairedTable, newcombe_interval, tango_interval
from penstock.evals.statistics.permutation import paired_permutation
from penstock.evals.statistics.power import (
    minimum_detectable_effect,
    paired_power,
    pairs_needed,
    two_sample_size,
)
from penstock.evals.statistics.proportion import clopper_pearson, wilson
from penstock.evals.statistics.quantile import quantile_interval

__all__ = [
    "Interval",
    "PairedTable",
    "bootstrap_interval",
    "clopper_pearson",
    "holm",
    "mcnemar_exact",
    "minimum_detectable_effect",
    "newcombe_interval",
    "paired_permutation",
    "paired_power",
    "pairs_needed",
    "quantile_interval",
    "t_interval",
    "tango_interval",
    "two_sample_size",
    "wilson",
]
