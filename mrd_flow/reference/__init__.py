"""What normal plasma cells look like, learnt from marrows without disease and moved onto a sample."""
