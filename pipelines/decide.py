"""Stage `diagnose`: where are the gaps, how sure are we, and who needs most."""

from __future__ import annotations

from pipelines.tables import Step

STEPS: tuple[Step, ...] = ()
