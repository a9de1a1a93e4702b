"""What people read first: few words, one question a page, and from each a way down to the annexes.

A page is a module and a template of this folder, drawn by `base.page("first/<name>", …)`.
"""

VISIBLE_WORDS = 400  # a page before anything is unfolded
FOLDED_WORDS = 600  # what a page folds, tables behind charts among it
