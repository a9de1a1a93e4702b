"""Stage `diagnose`: where the gaps are, how sure, who needs most, what drives it, what we miss."""

from pipelines.diagnose import areas, causes, criteria, gaps, need, not_measured, retention

STEPS = (
    *criteria.STEPS,
    *gaps.STEPS,
    *areas.STEPS,
    *need.STEPS,
    *causes.STEPS,
    *retention.STEPS,
    *not_measured.STEPS,
)
