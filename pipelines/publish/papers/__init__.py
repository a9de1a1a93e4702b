"""Papers for the table, made aside from the plan out of what a release has published."""
