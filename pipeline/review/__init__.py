"""The loopback pages on which results are looked at, changed with a reason, and signed."""
