"""What is to be decided: tables, columns of the solver, plans, and what a rule is."""
