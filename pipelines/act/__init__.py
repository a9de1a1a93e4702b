"""Stage `act`: who does what when, and who is told."""

from pipelines.act import findings, not_measured, plan, release, tickets, voices

STEPS = (*plan.STEPS, *not_measured.STEPS, *voices.STEPS, *tickets.STEPS, *findings.STEPS)
ASSETS = (release.release,)
