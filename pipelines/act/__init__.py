"""Stage `act`: who does what when, and who is told."""

from pipelines.act import findings, lineage, not_measured, plan, release, tickets, voices

STEPS = (
    *plan.STEPS,
    *not_measured.STEPS,
    *voices.STEPS,
    *tickets.STEPS,
    *lineage.STEPS,
    *findings.STEPS,
)
ASSETS = (release.release,)
