"""Stage `aim`: what do we want, for whom, by which rules."""

from pipelines.aim import decided, tables

STEPS = (*tables.STEPS, *decided.STEPS)
