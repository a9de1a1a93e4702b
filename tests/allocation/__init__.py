"""Tests of the allocation engine."""
