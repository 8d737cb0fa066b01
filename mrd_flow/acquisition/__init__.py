"""Which events of a file were acquired soundly."""
