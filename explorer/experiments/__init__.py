"""What to run: comparisons, profiles at initialisation, and runs kept in the store."""
