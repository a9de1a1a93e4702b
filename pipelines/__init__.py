"""Orchestration: what is made, from what, when, and what must hold."""
