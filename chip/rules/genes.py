"""Genes that rules may name: one symbol each, their aliases, X-linkage and reference proteins.

The tables ship as ``configs/chip_rules/genes.tsv`` and ``proteins.fasta``. Proteins are those of 51
genes on GRCh38 (GENCODE coding sequences, translated); a gene without one is known by name only, and
what is said of its residues cannot be verified.
"""

from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files

__all__ = ["Gene", "gene_named", "known_genes", "symbol"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Gene:
    """A gene; ``protein`` holds its residues in one-letter code, None where they are not known here."""

    symbol: str
    aliases: tuple[str, ...]
    transcript: str
    x_linked: bool
    protein: str | None

    def residue(self, position: int) -> str | None:
        """The residue at a 1-based position; None where it is not known or outside the protein.

        >>> gene_named("DNMT3A").residue(882)
        'R'
        """
        if self.protein is None or not 1 <= position <= len(self.protein):
            return None
        return self.protein[position - 1]


@lru_cache(maxsize=1)
def known_genes() -> dict[str, Gene]:
    """Every known gene by its symbol."""
    folder = files("nadir_configs") / "chip_rules"
    proteins = _proteins((folder / "proteins.fasta").read_text(encoding="utf-8"))
    found: dict[str, Gene] = {}
    for line in (folder / "genes.tsv").read_text(encoding="utf-8").splitlines()[1:]:
        name, aliases, transcript, x_linked, _ = line.split("\t")
        found[name] = Gene(
            symbol=name,
            aliases=tuple(a for a in aliases.split(";") if a),
            transcript=transcript,
            x_linked=x_linked == "Y",
            protein=proteins.get(name),
        )
    return found


@lru_cache(maxsize=1)
def _by_alias() -> dict[str, str]:
    """Symbols by every name in upper case; a symbol goes before the same text as an alias."""
    names: dict[str, str] = {}
    for gene in known_genes().values():
        names.update({alias.upper(): gene.symbol for alias in gene.aliases})
    names.update({name.upper(): name for name in known_genes()})
    return names


def symbol(name: str) -> str:
    """The symbol of a gene by any of its names; an unknown name as it is.

    >>> symbol("MLL"), symbol("FAM46C"), symbol("tet2"), symbol("NOGENE1")
    ('KMT2A', 'TENT5C', 'TET2', 'NOGENE1')
    """
    return _by_alias().get(name.strip().upper(), name.strip())


def gene_named(name: str) -> Gene | None:
    """A gene by any of its names, or None."""
    return known_genes().get(symbol(name))


def _proteins(text: str) -> dict[str, str]:
    """Residues by gene from FASTA."""
    found = {}
    for record in text.split(">")[1:]:
        name, _, lines = record.partition("\n")
        found[name.strip()] = lines.replace("\n", "")
    return found
