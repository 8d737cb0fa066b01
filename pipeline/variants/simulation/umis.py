"""UMIs of molecules, as each read pair shows them."""

import numpy as np
from numpy.typing import NDArray

from pipeline.variants.simulation.design import LibraryDesign

__all__ = ["draw_umis", "umis_of_pairs"]

_DASH = 5  # in the codes of `record_kernels.RecordContext`


def draw_umis(molecules: int, design: LibraryDesign, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Codes of the UMIs, (molecules, bases): left then right end for duplex UMIs, none without UMIs."""
    ends = {"duplex": 2, "single": 1, "none": 0}[design.umi]
    return rng.integers(0, 4, (molecules, ends * design.umi_nt), dtype=np.uint8)


def umis_of_pairs(
    umis: NDArray[np.uint8],
    molecule: NDArray[np.int64],
    strand: NDArray[np.int64],
    design: LibraryDesign,
    rng: np.random.Generator,
) -> NDArray[np.uint8]:
    """UMIs as read, (pairs, bases), with errors: the end of read 1 first, a dash between two ends."""
    read = umis[molecule]
    wrong = int(rng.binomial(read.size, design.rates.umi)) if read.size else 0
    if wrong:
        flat = read.reshape(-1)
        where = rng.integers(0, flat.size, wrong)
        flat[where] = (flat[where] + rng.integers(1, 4, wrong, dtype=np.uint8)) % 4
    if design.umi != "duplex":
        return read
    size = design.umi_nt
    turned = (strand == 1)[:, None]
    first = np.where(turned, read[:, size:], read[:, :size])
    second = np.where(turned, read[:, :size], read[:, size:])
    dash = np.full((len(read), 1), _DASH, np.uint8)
    return np.concatenate([first, dash, second], axis=1)
