"""The rules a plan can be asked to keep, each a small named object in a module of its kind."""
