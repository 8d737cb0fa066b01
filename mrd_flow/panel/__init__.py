"""Panel templates: tubes, markers and the hierarchy of gates."""
