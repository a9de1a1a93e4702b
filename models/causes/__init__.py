"""Which causes go with the gaps: decompositions that add up, with intervals; association, not effect."""
