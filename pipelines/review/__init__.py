"""Stage `review`: what happened against the plan. Its tables are SQL (`sql/mart`, stage review)."""
