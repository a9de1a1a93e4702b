"""Stage `act`: who does what when, and who is told."""

from pipelines.act import findings, release

STEPS = findings.STEPS
ASSETS = (release.release,)
