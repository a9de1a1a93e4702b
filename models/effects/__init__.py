"""What responses are expected to do: literature priors, combined with local estimates where they exist."""

from models.effects.posterior import BIAS_SD, combine

__all__ = ["BIAS_SD", "combine"]
