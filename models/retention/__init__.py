"""Retention: how many pupils to expect in chronic absence, by school and grade; never which
ones.
"""

from models.retention.early_warning import EarlyWarning, early_warning

__all__ = ["EarlyWarning", "early_warning"]
