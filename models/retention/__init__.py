"""Retention: how many pupils to expect in chronic absence, never which ones."""

from models.retention.early_warning import EarlyWarning, early_warning

__all__ = ["EarlyWarning", "early_warning"]
