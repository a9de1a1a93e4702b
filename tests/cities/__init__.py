"""Cities that start from their own files, as a municipality would export them."""
