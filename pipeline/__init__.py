"""nadir: residual disease in myeloma, every result with its own limit of detection.

This package holds both ends of the house: the innermost nouns (``model``,
``errors``, ``detection``) and the outermost wiring (``workflow``, ``cli``).
The assays (``mrd_ngs``, ``mrd_flow``, ``cfdna``, ``chip``) stand between.
"""

__version__ = "0.1.0"
