"""Comparison of methods: lines, differences, censored correlation, agreement at a threshold."""

from pipeline.concordance.agreement import (
    CURVE_THRESHOLDS,
    IndeterminateCount,
    agreement,
    curve,
    indeterminate_reasons,
)
from pipeline.concordance.censored import CensoredFit, censored_bivariate
from pipeline.concordance.difference import (
    BlandAltman,
    Estimate,
    bland_altman,
    lin_ccc,
    share_within,
    total_deviation_index,
)
from pipeline.concordance.expected import LatentLevel, expected_discordance, latent_level
from pipeline.concordance.pairs import Pairs, Results, pair_readings, patient_readings, tabulate
from pipeline.concordance.rank import RankLine, akritas_theil_sen, censored_tau
from pipeline.concordance.regression import Regression, deming, passing_bablok, weighted_deming
from pipeline.concordance.statistic import Statistic
from pipeline.concordance.table import AgreementTable

__all__ = [
    "CURVE_THRESHOLDS",
    "AgreementTable",
    "BlandAltman",
    "CensoredFit",
    "Estimate",
    "IndeterminateCount",
    "LatentLevel",
    "Pairs",
    "RankLine",
    "Regression",
    "Results",
    "Statistic",
    "agreement",
    "akritas_theil_sen",
    "bland_altman",
    "censored_bivariate",
    "censored_tau",
    "curve",
    "deming",
    "expected_discordance",
    "indeterminate_reasons",
    "latent_level",
    "lin_ccc",
    "pair_readings",
    "passing_bablok",
    "patient_readings",
    "share_within",
    "tabulate",
    "total_deviation_index",
    "weighted_deming",
]
