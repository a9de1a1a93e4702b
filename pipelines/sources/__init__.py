"""Readers of a city's files: mapping, quarantine, and the fetch of open data."""
