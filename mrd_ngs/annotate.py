"""V(D)J annotation of reads: genes, junction, alignments, on whichever strand they lie.

Words of the read vote for the place of Cys104; the one frame this gives is compared with
every V allele at once. Reads with insertions or deletions go through a banded alignment
first. J is looked for behind V, D between them; a kappa V without J is tried against the
kappa deleting element, a read without V as intron-Kde and as DJ. A read in which none of
these is believed has no annotation: see the lowest scores in `mrd_ngs.annotate_kernels`.
"""

from collections.abc import Sequence

from mrd_ngs.airr_table import COLUMNS, AnnotationCount, airr_frame, airr_lines, write_airr
from mrd_ngs.annotation import annotate_codes, encode
from mrd_ngs.germline import GermlineSet
from mrd_ngs.rearrangement import Rearrangement, from_airr_line

__all__ = ["AnnotationCount", "airr_frame", "annotate_sequences", "write_airr"]


def annotate_sequences(sequences: Sequence[str], germline: GermlineSet) -> list[Rearrangement | None]:
    """Annotate sequences.

    Parameters
    ----------
    sequences
        Reads of any length and case, on either strand; what is not A, C, G or T counts as N.
    germline
        V, D and J alleles.

    Returns
    -------
    list
        One `Rearrangement` per sequence, None where the read carries none.

    Notes
    -----
    For files and for more than some 100,000 reads `write_airr` is faster and streams.

    Examples
    --------
    >>> from mrd_ngs.germline import load_germline
    >>> read = (
    ...     "GTGAAGGGCCGATTCACCATCTCCAGAGACAACGCCAAGAACTCACTGTATCTGCAAATGAACAGCCTGAGAGCCGAGGACACGGCTGTG"
    ...     "TATTACTGTGCGAGAGATGGGTATAGCAGTGGCTGGTACGCCTTTGACTACTGGGGCCAGGGAACCCTGGTCACCGTCTCCTCAG"
    ... )
    >>> found = annotate_sequences([read], load_germline())[0]
    >>> found.junction_aa, found.d_call, found.j_call, found.productive
    ('CARDGYSSGWYAFDYW', 'IGHD6-19*01', 'IGHJ4*02', True)
    """
    from mrd_ngs.annotate_kernels import JUNCTION_START, KIND, NONE

    if not sequences:
        return []
    letters = [sequence.encode("ascii", errors="replace") for sequence in sequences]
    found = annotate_codes(*encode(letters), germline)
    lines = iter(str(airr_lines(found, [""] * len(letters), germline), "ascii").splitlines())
    columns = tuple(COLUMNS)
    return [
        None if kind == NONE else from_airr_line(columns, next(lines), start)
        for kind, start in zip(
            found.rows[:, KIND].tolist(), found.rows[:, JUNCTION_START].tolist(), strict=True
        )
    ]
