"""The path of a country: prices, every school for itself, one whole plan."""
