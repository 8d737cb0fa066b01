"""How simulated marrows, faults and the best possible classifier are made."""
