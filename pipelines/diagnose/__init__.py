"""Stage `diagnose`: where are the gaps, how sure are we, who needs most, what drives it, what we cannot see."""

from pipelines.diagnose import causes, gaps, need, not_measured

STEPS = (*gaps.STEPS, *need.STEPS, *causes.STEPS, *not_measured.STEPS)
