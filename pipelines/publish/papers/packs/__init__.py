"""The packs of the three meetings: one description, printed as slides and as pages (R109)."""
