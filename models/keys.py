"""Words in the key columns of tables that several rooms read; for every room but the generator."""

from __future__ import annotations

WHOLE = "all"  # as subject, pupil group, role or response: all of them together
