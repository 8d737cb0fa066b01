"""Which observations are evidence of a variant, and not of how errors come about."""

import numpy as np
from numpy.typing import NDArray

from pipeline.variants.calling.settings import CallSettings

__all__ = ["supports"]


def supports(rows: NDArray[np.void], settings: CallSettings) -> NDArray[np.bool_]:
    """Whether each observation counts in the score, in samples as in controls.

    What stands near an end of its fragment may be end repair's, which both strands share; what maps poorly,
    or differs from the reference in many other places, is from elsewhere. Molecules left out here still
    count in depth, AD and VAF.

    Parameters
    ----------
    rows
        Dtype `pipeline.variants.evidence.OBSERVATION`.
    settings
        ``fragment_end_nt``, ``min_mapping_quality``, ``max_mismatches``.
    """
    mapped = rows["mapping_quality"] >= settings.min_mapping_quality  # unknown (255) passes
    inside = rows["end_distance"] >= settings.fragment_end_nt
    alike = rows["mismatches"] <= settings.max_mismatches
    kept: NDArray[np.bool_] = mapped & inside & alike
    return kept
