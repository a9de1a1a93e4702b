"""What a page says in one language; what is not translated is said in Hebrew, and counted."""

from __future__ import annotations

from typing import Any

from markupsafe import Markup, escape

from pipelines.publish import words
from pipelines.publish.pages.base import isolated
from pipelines.publish.translations import HEBREW, Language, fixed_texts


class Speech:
    """The words of one page.

    Attributes:
        code: of the language, as HTML names it.
        direction: `rtl` or `ltr`.
        untold: keys of what this page says in Hebrew though it is another language's.
    """

    def __init__(self, language: Language | None = None) -> None:
        self._language = language
        self.code = language.code if language else HEBREW
        self.direction = "ltr" if language else "rtl"
        self.untold: set[str] = set()

    def __call__(self, key: str, **values: Any) -> Markup:
        """Return a sentence, with what is filled in."""
        return self.named(key, fixed_texts()[key].he, **values)

    def plain(self, key: str, **values: Any) -> str:
        """Return a sentence without markup, for a title or a label of an element."""
        found = self._found(key, fixed_texts()[key].he)
        return (found or fixed_texts()[key].he).format(**values)

    def label(self, field: str, value: str) -> Markup:
        """Return the name of a category's value."""
        return self.named(f"label.{field}.{value}", words.label(field, value))

    def named(self, key: str, he: str, **values: Any) -> Markup:
        """Return a text whose Hebrew is known: a name, or a sentence of the data."""
        found = self._found(key, he)
        text = escape(he if found is None else found)
        said = text.format(**values) if values else isolated(str(text.unescape()))
        return said if found is not None or self._language is None else self.hebrew(said)

    def hebrew(self, text: str | Markup) -> Markup:
        """Return a text that stays in Hebrew, such as the name of a school."""
        if self._language is None:
            return isolated(text)
        return Markup('<bdi lang="he" dir="rtl">{}</bdi>').format(text)

    def knows(self, key: str) -> bool:
        """Whether the language has a text of its own for a key."""
        return self._language is not None and key in self._language.texts

    def year(self, school_year: int) -> str:
        """Return a school year: תשפ"ז, and 2026/27 in other languages."""
        if self._language is None:
            return words.hebrew_year(school_year)
        return f"{school_year - 1}/{school_year % 100:02d}"

    def _found(self, key: str, he: str) -> str | None:
        """Return the translation of a text that was made from its present Hebrew."""
        if self._language is None:
            return None
        held = self._language.texts.get(key)
        if held is None or held.of != he:
            self.untold.add(key)
            return None
        return held.text
