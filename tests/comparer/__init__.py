"""Two releases compared by what they say: `make compare` proves that a change changes nothing."""
