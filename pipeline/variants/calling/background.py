"""Error rates per molecule: by context and strand class, by run of equal bases, and by site."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pipeline.errors import InputRefused
from pipeline.formats.atomic import replacing
from pipeline.variants.calling.contexts import CONTEXTS, RUN_MAX_NT, context_name, reverse_context

__all__ = [
    "CLASSES", "CLASS_OF_STRAND", "INDEL_KINDS", "Background", "SiteErrors", "indel_kind", "read_background",
    "write_background",
]  # fmt: skip

CLASSES = ("single", "family", "duplex")
CLASS_OF_STRAND = np.array([0, 0, 1, 1, 2])
"""Row of `CLASSES` for each `pipeline.variants.evidence.StrandClass`."""
INDEL_KINDS = ("run_gain", "run_loss", "run_gain_more", "run_loss_more", "insertion", "deletion")
"""A run of equal bases longer or shorter by one base, by several, and any other insertion or deletion."""
_FORMAT = b"nadir background 1"
_REMEDY = "make it with `nadir variants background`"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SiteErrors:
    """What controls showed at single sites.

    ``molecules`` and ``spanning`` map (contig, position) to molecules of the three classes that could show
    a substitution, an indel; ``errors`` maps (contig, position, ref, alt) to the molecules that did.
    """

    molecules: Mapping[tuple[str, int], tuple[float, float, float]] = field(default_factory=dict)
    spanning: Mapping[tuple[str, int], tuple[float, float, float]] = field(default_factory=dict)
    errors: Mapping[tuple[str, int, str, str], int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Background:
    """Error probabilities per molecule.

    Attributes
    ----------
    substitution
        (64 contexts, 4 bases read, 3 classes) float64, contexts and bases as the strand itself reads
        them: what the reverse strand shows as C>T stands in the plus strand's coordinates as G>A.
    indel
        (6 kinds, 21 run lengths, 3 classes) float64, by `INDEL_KINDS`.
    shape
        Sites differ: each one's rates are these times a gamma factor of mean 1 and this shape.
    sites
        Errors of controls at single sites, which make that factor's posterior.
    samples
        Control samples; 0 where learned from the sample itself.
    has_umis
        Whether molecules had UMIs. Rates of families without them are not those of families with.
    """

    substitution: NDArray[np.float64]
    indel: NDArray[np.float64]
    shape: float
    sites: SiteErrors
    samples: int
    has_umis: bool

    def by_strand(self) -> NDArray[np.float64]:
        """Rates in the plus strand's coordinates, (65, 4, 5): the last context is for unknown neighbours."""
        contexts = np.arange(CONTEXTS)
        turned = self.substitution[reverse_context(contexts)][:, ::-1]
        columns = [
            (turned if strand in (1, 3) else self.substitution)[..., CLASS_OF_STRAND[strand]]
            for strand in range(5)
        ]
        known = np.stack(columns, axis=-1)
        return np.concatenate([known, known.max(axis=0, keepdims=True)])


def indel_kind(ref: str, alt: str, run_nt: int, next_base: str) -> int:
    """Row of `INDEL_KINDS`; ``run_nt`` and ``next_base`` are the run of equal bases behind the anchor.

    >>> [INDEL_KINDS[indel_kind(*a, "A")] for a in (("CA", "C", 5), ("C", "CAA", 5), ("C", "CT", 5))]
    ['run_loss', 'run_gain_more', 'insertion']
    """
    gained = len(alt) - len(ref)
    changed = alt[1:] or ref[1:]
    if run_nt > 1 and set(changed) == {next_base}:
        return (0 if gained > 0 else 1) + (2 if abs(gained) > 1 else 0)
    return 4 if gained > 0 else 5


def write_background(path: Path, background: Background) -> None:
    """Write as one Parquet table; the same background gives the same bytes."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    rows = [*_rate_rows(background), *_site_rows(background.sites)]
    names = ("kind", "contig", "position", "ref", "alt", *CLASSES)
    columns = {name: [row[k] for row in rows] for k, name in enumerate(names)}
    schema = pa.schema(
        [
            ("kind", pa.string()), ("contig", pa.string()), ("position", pa.int64()), ("ref", pa.string()),
            ("alt", pa.string()), *((name, pa.float64()) for name in CLASSES),
        ],
        metadata={
            b"format": _FORMAT,
            b"shape": repr(background.shape).encode(),
            b"samples": str(background.samples).encode(),
            b"has_umis": str(int(background.has_umis)).encode(),
        },
    )  # fmt: skip
    with replacing(path) as temporary:
        pq.write_table(pa.table(columns, schema=schema), temporary, compression="zstd")


def read_background(path: Path) -> Background:
    """Read what `write_background` wrote.

    Raises
    ------
    InputRefused
        If it cannot be read or is another table.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        table = pq.read_table(path)
    except (OSError, pa.ArrowInvalid) as error:
        raise InputRefused("cannot be read as Parquet", path=path, remedy=_REMEDY) from error
    stated = table.schema.metadata or {}
    if stated.get(b"format") != _FORMAT:
        raise InputRefused("is no background of errors", path=path, remedy=_REMEDY)
    substitution = np.zeros((CONTEXTS, 4, 3))
    indel = np.zeros((len(INDEL_KINDS), RUN_MAX_NT + 1, 3))
    contexts = {context_name(c): c for c in range(CONTEXTS)}
    molecules, spanning, errors = {}, {}, {}
    names = ("kind", "contig", "position", "ref", "alt", *CLASSES)
    for kind, contig, position, ref, alt, *values in zip(*(table[n].to_pylist() for n in names), strict=True):
        three = (values[0], values[1], values[2])
        if kind == "substitution":
            substitution[contexts[ref], "ACGT".index(alt)] = three
        elif kind == "indel":
            indel[INDEL_KINDS.index(alt), position] = three
        elif kind == "molecules":
            molecules[contig, position] = three
        elif kind == "spanning":
            spanning[contig, position] = three
        else:
            errors[contig, position, ref, alt] = round(values[0])
    return Background(
        substitution=substitution,
        indel=indel,
        shape=float(stated[b"shape"]),
        sites=SiteErrors(molecules=molecules, spanning=spanning, errors=errors),
        samples=int(stated[b"samples"]),
        has_umis=stated[b"has_umis"] == b"1",
    )


_Row = tuple[str | int | float, ...]


def _rate_rows(background: Background) -> list[_Row]:
    rows: list[_Row] = [
        ("substitution", "", 0, context_name(c), "ACGT"[b], *map(float, background.substitution[c, b]))
        for c in range(CONTEXTS)
        for b in range(4)
        if b != (c >> 2) & 3
    ]
    rows += [
        ("indel", "", run, "", kind, *map(float, background.indel[k, run]))
        for k, kind in enumerate(INDEL_KINDS)
        for run in range(RUN_MAX_NT + 1)
    ]
    return rows


def _site_rows(sites: SiteErrors) -> list[_Row]:
    rows: list[_Row] = []
    for kind, table in (("molecules", sites.molecules), ("spanning", sites.spanning)):
        rows += [(kind, contig, position, "", "", *n) for (contig, position), n in sorted(table.items())]
    rows += [("errors", *key, float(n), 0.0, 0.0) for key, n in sorted(sites.errors.items())]
    return rows
