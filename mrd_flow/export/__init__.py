"""A gated tube for other programs."""
