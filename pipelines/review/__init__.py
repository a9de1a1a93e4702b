"""Stage `review`: what happened against the plan."""

from pipelines.review import rules

STEPS = rules.STEPS
