"""Stage `aim`: what do we want, for whom, by which rules."""

from pipelines.aim import tables

STEPS = tables.STEPS
