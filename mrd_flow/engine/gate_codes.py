"""Numbers by which the gating engine's compiled kernel knows sources, scales and gates."""

__all__ = [
    "ALL_OF",
    "ANY_OF",
    "ARCSINH",
    "COMPENSATED",
    "ELLIPSOID",
    "IDENTITY",
    "LINEAR",
    "LOG",
    "LOG_CLAMPED",
    "NONE_OF",
    "POLYGON",
    "RATIO",
    "RECTANGLE",
    "STORED",
    "TABLE",
]

STORED, COMPENSATED, RATIO = 0, 1, 2
IDENTITY, LINEAR, LOG, LOG_CLAMPED, ARCSINH, TABLE = 0, 1, 2, 3, 4, 5
RECTANGLE, POLYGON, ELLIPSOID, ALL_OF, ANY_OF, NONE_OF = 0, 1, 2, 3, 4, 5
