"""Why a formula cannot be read or applied, told in English and in Hebrew."""

from __future__ import annotations


class FormulaError(ValueError):
    """A formula cannot be applied to these units; the message is the English one.

    Attributes:
        he: the same in Hebrew, for a municipal user; columns keep their names.
        place: keys that lead to what is wrong, from the part of the declaration that was read.
    """

    def __init__(self, en: str, he: str, place: tuple[str | int, ...] = ()) -> None:
        super().__init__(en)
        self.he, self.place = he, place
