"""Comparison of methods: lines, differences, censored correlation, agreement at a threshold."""

from pipeline.concordance.agreement import (
    CURVE_THRESHOLDS,
    IndeterminateCount,
    agreement,
    curve,
    indeterminate_reasons,
)
from pipeline.concordance.bands import LineBand, deming_band
from pipeline.concordance.censored import CensoredFit, censored_bivariate
from pipeline.concordance.censored_line import CensoredLine, censored_line
from pipeline.concordance.clustered import clustered_kappa, clustered_share
from pipeline.concordance.cohort import (
    Comparison,
    ComparisonRow,
    PairRow,
    comparison_rows,
    comparisons,
    pair_rows,
)
from pipeline.concordance.difference import (
    BlandAltman,
    Estimate,
    bland_altman,
    bland_altman_repeated,
    lin_ccc,
    share_within,
    total_deviation_index,
)
from pipeline.concordance.expected import (
    LatentLevel,
    expected_agreement_range,
    expected_discordance,
    latent_level,
)
from pipeline.concordance.pairs import (
    Pairs,
    Results,
    pair_readings,
    patient_readings,
    sampling_compatible,
    tabulate,
)
from pipeline.concordance.rank import RankLine, akritas_theil_sen, censored_tau
from pipeline.concordance.regression import Regression, deming, passing_bablok, weighted_deming
from pipeline.concordance.statistic import Statistic
from pipeline.concordance.table import AgreementTable

__all__ = [
    "CURVE_THRESHOLDS",
    "AgreementTable",
    "BlandAltman",
    "CensoredFit",
    "CensoredLine",
    "Comparison",
    "ComparisonRow",
    "Estimate",
    "IndeterminateCount",
    "LatentLevel",
    "LineBand",
    "PairRow",
    "Pairs",
    "RankLine",
    "Regression",
    "Results",
    "Statistic",
    "agreement",
    "akritas_theil_sen",
    "bland_altman",
    "bland_altman_repeated",
    "censored_bivariate",
    "censored_line",
    "censored_tau",
    "clustered_kappa",
    "clustered_share",
    "comparison_rows",
    "comparisons",
    "curve",
    "deming",
    "deming_band",
    "expected_agreement_range",
    "expected_discordance",
    "indeterminate_reasons",
    "latent_level",
    "lin_ccc",
    "pair_readings",
    "pair_rows",
    "passing_bablok",
    "patient_readings",
    "sampling_compatible",
    "share_within",
    "tabulate",
    "total_deviation_index",
    "weighted_deming",
]
