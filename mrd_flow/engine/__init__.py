"""The gating engine: compensation, scales and gates of a file in one compiled pass."""
