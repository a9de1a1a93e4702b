"""Tests of fetching the open files."""
