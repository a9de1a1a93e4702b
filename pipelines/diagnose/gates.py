"""What must have passed before anything is diagnosed: a fault here would colour every result."""

GATES = ("core_reconciliation", "core_direction", "core_source_file", "core_quarantine")
