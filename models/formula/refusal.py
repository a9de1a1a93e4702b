"""Why a formula cannot be applied, told in English and in Hebrew."""

from __future__ import annotations


class FormulaError(ValueError):
    """A formula cannot be applied to these units; the message is the English one.

    Attributes:
        he: the same in Hebrew, for a municipal user; columns keep their names.
    """

    def __init__(self, en: str, he: str) -> None:
        super().__init__(en)
        self.he = he
