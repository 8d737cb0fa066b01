"""Windows of evidence made by hand, molecule by molecule."""

import numpy as np

from pipeline.variants.evidence import ALLELE_COLUMNS, OBSERVATION, Allele, SiteEvidence

PLAIN = {
    "strand_class": 4,
    "flags": 0,
    "mapping_quality": 60,
    "mismatches": 0,
    "reads_forward": 2,
    "reads_reverse": 2,
    "end_distance": 50,
    "read_position": 40,
}


def window(reference, start, depth, molecules=(), *, contig="one", has_umis=True, low_mapping=0):
    """Evidence over ``reference`` (its bases) with ``depth`` molecules of each strand class at every site.

    ``molecules``: one list a molecule of (Allele, fields that differ from `PLAIN`); the first of them gives
    the molecule's class.
    """
    sites = len(reference)
    counts = np.zeros((sites, len(ALLELE_COLUMNS), 5), np.uint32)
    for site, base in enumerate(reference):
        if base in "ACGT":
            counts[site, "ACGT".index(base)] = depth
    rows = []
    alleles = sorted({allele for molecule in molecules for allele, _ in molecule})
    for number, molecule in enumerate(molecules):
        for allele, fields in molecule:
            row = {**PLAIN, **fields, "allele": alleles.index(allele), "molecule": number}
            site = allele.position - start
            if len(allele.ref) == len(allele.alt):
                base = "ACGT".index(reference[site])
                counts[site, base, row["strand_class"]] -= 1
                counts[site, "ACGT".index(allele.alt), row["strand_class"]] += 1
            rows.append(tuple(row.get(name, 0) for name in OBSERVATION.names))
    observations = np.array(rows, OBSERVATION)
    return SiteEvidence(
        contig=contig,
        start=start,
        end=start + sites,
        reference=reference,
        counts=counts,
        strand_disagreements=np.zeros((sites, 4, 2), np.uint32),
        reads=np.full(sites, 4 * sum(depth), np.uint32),
        spanning=np.tile(np.array(depth, np.uint32), (sites, 1)),
        low_mapping=np.full(sites, low_mapping, np.uint32),
        alleles=tuple(alleles),
        observations=np.sort(observations, order=["allele", "molecule"]),
        molecules=len(molecules),
        has_umis=has_umis,
    )


def molecules_with(allele, count, **fields):
    """So many molecules that differ by that allele alone (or by each of a list of alleles)."""
    alleles = [allele] if isinstance(allele, Allele) else allele
    return [[(a, fields) for a in alleles] for _ in range(count)]
