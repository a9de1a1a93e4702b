"""Stage `diagnose`: where are the gaps, how sure are we, who needs most, what drives it, what we
cannot see.
"""

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
