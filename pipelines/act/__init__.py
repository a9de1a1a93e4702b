"""Stage `act`: who does what when, and who is told."""

from pipelines.act import findings, not_measured, release, voices

STEPS = (*not_measured.STEPS, *voices.STEPS, *findings.STEPS)
ASSETS = (release.release,)
