"""Pages for those outside the administration: parents, the public; and a first one for inspectors.

They show what the audience's own tables hold: money, levels and words of schools, no score of one.
"""
