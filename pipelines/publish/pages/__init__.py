"""The pages of a release: a module and its template each."""
