"""A clone's antigens in words against normal plasma cells of the same sample (Arroz 2016)."""

import numpy as np
from numpy.typing import NDArray

from mrd_flow.reference.adaptation import AdaptedReference
from mrd_flow.reference.plasma_cell_features import SCATTER_FEATURES

__all__ = ["NORMAL_RANGE", "antigen_words"]

NORMAL_RANGE = 1.5
"""Standard deviations of the commoner level of normal plasma cells; no source states it, unverified."""


def antigen_words(mean: NDArray[np.float64], adapted: AdaptedReference) -> tuple[tuple[str, str], ...]:
    """Each marker with reduced, normal or increased.

    Compared with the level that most normal plasma cells of this sample have.

    Parameters
    ----------
    mean
        The clone's features (n_features,).
    adapted
        The reference as it stands in the sample.
    """
    reference = adapted.reference
    weights = np.exp(adapted.log_weights) * reference.of_plasma_cells
    levels = np.array(reference.levels)
    words = []
    for f, name in enumerate(reference.features):
        if name in SCATTER_FEATURES:
            continue
        common = int(weights @ levels[:, f] > weights.sum() / 2)
        position, spread = adapted.level(name, common)
        away = (mean[f] - position) / spread
        word = "increased" if away > NORMAL_RANGE else "reduced" if away < -NORMAL_RANGE else "normal"
        words.append((name, word))
    return tuple(words)
