"""Everything with a command line."""
