"""The demonstration city as files: what it says of itself, and how it is written."""
