"""Run choices of the sequencing assay."""

from dataclasses import dataclass

__all__ = ["UNVERIFIED", "NgsSettings"]

UNVERIFIED = (
    "6.6 pg DNA a diploid cell (read in secondary sources only)",
    "own choices: spread of amplification between markers, limits of the run control, safety of denoising",
)
"""Defaults in use here that no published text confirmed; marker rules name their own."""

_CHOICES = {
    "mates_unmerged": ("drop", "first", "second"),
    "primer_action": ("trim", "require"),
    "umi_source": ("none", "name", "tag", "first", "second", "both"),
}
_IUPAC = frozenset("ACGTRYSWKMBDHVN")


@dataclass(frozen=True, slots=True, kw_only=True)
class NgsSettings:
    """Run choices of the sequencing assay; the defaults are those a batch without a table gets.

    Marker rules. ``marker_rules`` is the name of a rule set that ships (``configs/marker_rules/``)
    or the absolute path of a TOML file: thresholds with their sources (`mrd_ngs.marker_rules`).

    Germline. ``germline`` is the absolute path of a folder with your own V, D and J alleles
    (`mrd_ngs.germline.load_germline`); empty: OGRDB's, as they ship.

    Window. The tracked window is the junction with ``window_flank_nt`` on either side, at
    least ``window_min_nt`` long. The junction holds what is unique to the clone; the
    flanks anchor it in V and J and add the clone's own mutations there. A longer window
    loses more reads to errors (1 - (1 - e)^L: 9 % for 98 nt at 0.1 %), but the spike-ins
    are counted in windows of the same length and lose the same share.

    Reads. ``min_read_nt`` is the shortest read that is looked at, ``min_reads`` the
    smallest number of reads called a clone (2, so that one hopped or chimaeric read is
    not a relapse), ``background_alpha`` the accepted probability that errors of
    look-alike reads reach the decision count, ``error_rate_min`` the floor of the
    measured substitution rate per base. ``template_yield_cv_min`` is the least coefficient of variation
    of PCR yields between templates that intervals and limits reckon with (0.8, own choice, by
    simulation: docs/methods/tracking.md); ten cycles at 80 % have 0.33.
    Sequences of at least ``annotated_share_min`` of the reads, and at most
    ``annotated_sequences_max`` of them, are annotated at baseline; of the others about
    ``tail_sequences``.

    Markers of one clone together. ``marker_shared_sampling`` is the share of the drawn
    DNA that went into the assay: with 1, on the safe side, a cell not drawn is missed by
    every marker. ``marker_amplification_sd`` is the relative spread of amplification
    between markers that the spike-ins do not show (0.25, own choice: at many templates
    markers then disagree beyond a factor of about three); ``discordance_alpha`` the accepted
    probability of calling agreeing markers discordant.

    Denoising. A sequence that errors of its more abundant neighbours explain is folded into
    them: at the error rate of the spike-ins (``error_rate_assumed`` without), times
    ``denoise_safety``, unless that has a probability below ``denoise_alpha`` in the
    whole library. With ``denoise_by_quality`` errors and reads are those at good bases
    (`mrd_ngs.base_quality`); the files are then read twice.

    Run control (own choices, unverified). ``hop_rate_assumed`` is the share of a donor's
    reads reckoned with in each other sample where the run says too little,
    ``hop_rate_max`` the largest that passes for hopping. A foreign marker with at least
    ``swap_min_share`` of a sample's reads and ``swap_ratio`` times its own marker's is a
    suspected exchange. A negative control has at most ``negative_control_max_share`` of a
    typical sample's reads; no clone of a polyclonal one more than ``polyclonal_max_share`` of
    its locus.

    Mates. The second mate runs against the first. They are merged where they overlap in at
    least ``mates_min_overlap_nt`` with a share of mismatches of at most
    ``mates_max_mismatch_rate``; a pair that does not is dropped, or its ``first`` or
    ``second`` mate kept as a single read (``mates_unmerged``).

    Primers and adapters, lists written with commas, in IUPAC codes from 5' to 3'.
    ``primers_first`` stand at the start of first mates and single reads, ``primers_second`` at
    the start of second mates and, as their reverse complement, at the end of single reads;
    each is looked for with its whole length at most ``primer_max_offset_nt`` from the end.
    ``adapters_first`` and ``adapters_second`` are what a mate reads behind its insert, whole
    or cut off by its end (then at least ``adapter_min_overlap_nt``). A share of
    ``trim_max_mismatch_rate`` may mismatch. What is found is cut off; with ``primer_action``
    ``require`` a read without one of the listed primers is lost.

    UMIs (unique molecular identifiers, one random tag for each template). ``umi_source`` says
    where they stand: ``name``, the last field of the read's name, split at
    ``umi_delimiter``; ``tag``, a field ``RX:Z:`` in the comment behind the name; ``first``
    or ``second``, the first ``umi_length_nt`` bases of that mate, followed by ``umi_spacer``
    (IUPAC codes) where there is one; ``both``, so many of each mate, which together are the
    UMI. Reads of one UMI with a share of mismatches of at most
    ``umi_family_mismatch_rate`` are a family, hence one molecule, and their consensus one
    count; families of fewer than ``umi_min_family_reads`` reads are dropped.

    Raises
    ------
    ValueError
        If a value is out of its range; the message names the key.
    """

    min_read_nt: int = 50
    max_read_nt: int = 100_000
    window_flank_nt: int = 10
    window_min_nt: int = 50
    spike_in_window_nt: int = 80
    min_reads: int = 2
    background_alpha: float = 0.001
    error_rate_min: float = 2e-4
    template_yield_cv_min: float = 0.8
    annotated_share_min: float = 2.5e-4
    annotated_sequences_max: int = 5000
    tail_sequences: int = 200
    marker_rules: str = "nadir_default"
    candidates_listed: int = 10
    germline: str = ""
    # markers together
    marker_shared_sampling: float = 1.0
    marker_amplification_sd: float = 0.25
    discordance_alpha: float = 0.001
    # errors of abundant sequences
    error_rate_assumed: float = 0.001
    denoise_safety: float = 3.0
    denoise_alpha: float = 0.01
    denoise_by_quality: bool = False
    # samples of a run together
    hop_rate_assumed: float = 0.001
    hop_rate_max: float = 0.01
    swap_min_share: float = 0.001
    swap_ratio: float = 10.0
    negative_control_max_share: float = 0.01
    polyclonal_max_share: float = 0.05
    # mates
    mates_min_overlap_nt: int = 20
    mates_max_mismatch_rate: float = 0.2
    mates_unmerged: str = "drop"
    # primers and adapters
    primers_first: str = ""
    primers_second: str = ""
    primer_action: str = "trim"
    primer_max_offset_nt: int = 0
    adapters_first: str = ""
    adapters_second: str = ""
    adapter_min_overlap_nt: int = 5
    trim_max_mismatch_rate: float = 0.1
    # UMIs
    umi_source: str = "none"
    umi_length_nt: int = 8
    umi_delimiter: str = ":"
    umi_spacer: str = ""
    umi_family_mismatch_rate: float = 0.05
    umi_min_family_reads: int = 1

    def __post_init__(self) -> None:
        for name in (
            "background_alpha",
            "error_rate_min",
            "annotated_share_min",
            "discordance_alpha",
            "error_rate_assumed",
            "denoise_alpha",
            "hop_rate_assumed",
            "hop_rate_max",
            "swap_min_share",
            "negative_control_max_share",
            "polyclonal_max_share",
        ):
            if not 0 < getattr(self, name) < 1:
                raise ValueError(f"{name} must lie between 0 and 1")
        for name in ("window_min_nt", "spike_in_window_nt"):
            if getattr(self, name) < 30:
                raise ValueError(f"{name} must be at least 30: shorter windows are not unique")
        for name in (
            "min_read_nt",
            "min_reads",
            "annotated_sequences_max",
            "tail_sequences",
            "candidates_listed",
        ):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1")
        if self.window_flank_nt < 0:
            raise ValueError("window_flank_nt cannot be negative")
        if self.marker_rules.endswith(".toml") and not self.marker_rules.startswith("/"):
            raise ValueError("marker_rules must name a rule set that ships, or give an absolute path")
        if self.germline and not self.germline.startswith("/"):
            raise ValueError("germline must be the absolute path of a folder")
        if not 0 < self.marker_shared_sampling <= 1:
            raise ValueError("marker_shared_sampling must lie in (0, 1]")
        for name in ("marker_amplification_sd", "template_yield_cv_min"):
            if not getattr(self, name) >= 0:
                raise ValueError(f"{name} cannot be negative")
        if not self.swap_ratio > 1:
            raise ValueError("swap_ratio must be above 1")
        if not self.denoise_safety >= 1:
            raise ValueError("denoise_safety must be at least 1")
        if self.max_read_nt < self.min_read_nt:
            raise ValueError("max_read_nt must not be below min_read_nt")
        self._check_preparation()

    @property
    def umi_total_nt(self) -> int:
        """Length of the UMI of a template: of both mates' parts where each has one."""
        return self.umi_length_nt * (2 if self.umi_source == "both" else 1)

    def _check_preparation(self) -> None:
        """Mates, primers, adapters and UMIs."""
        for name, choices in _CHOICES.items():
            if getattr(self, name) not in choices:
                raise ValueError(f"{name} must be one of {', '.join(choices)}")
        for name in ("primers_first", "primers_second", "adapters_first", "adapters_second"):
            listed = getattr(self, name)
            if listed and not all(_is_iupac(one) for one in listed.split(",")):
                raise ValueError(f"{name} must hold nucleotide codes, separated by commas")
        if self.umi_spacer and not _is_iupac(self.umi_spacer):
            raise ValueError("umi_spacer must hold nucleotide codes")
        for name in ("mates_max_mismatch_rate", "trim_max_mismatch_rate"):
            if not 0 <= getattr(self, name) < 0.5:
                raise ValueError(f"{name} must lie in [0, 0.5)")
        if not 0 <= self.umi_family_mismatch_rate <= 0.1:
            raise ValueError("umi_family_mismatch_rate must lie in [0, 0.1]")
        if self.mates_min_overlap_nt < 10:
            raise ValueError("mates_min_overlap_nt must be at least 10: shorter overlaps occur by chance")
        if not 4 <= self.umi_length_nt <= 24:
            raise ValueError("umi_length_nt must lie in [4, 24]")
        if not 0 <= self.primer_max_offset_nt <= 1000:
            raise ValueError("primer_max_offset_nt must lie in [0, 1000]")
        for name in ("adapter_min_overlap_nt", "umi_min_family_reads"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1")
        if not self.umi_delimiter or not self.umi_delimiter.isprintable():
            raise ValueError("umi_delimiter must be printable characters, at least one")
        if self.primer_action == "require" and not (self.primers_first or self.primers_second):
            raise ValueError("primer_action is require, but no primers are listed")


def _is_iupac(text: str) -> bool:
    return bool(text) and set(text.upper()) <= _IUPAC
