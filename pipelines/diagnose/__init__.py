"""Stage `diagnose`: where the gaps are, how sure, who needs most, what drives it."""

from pipelines.diagnose import areas, causes, criteria, gaps, need, retention

STEPS = (
    *criteria.STEPS,
    *gaps.STEPS,
    *areas.STEPS,
    *need.STEPS,
    *causes.STEPS,
    *retention.STEPS,
)
