"""Quality checks: what must hold of each table, and the engine that tests it."""
