"""Find what names a person in a text, and mask it: id numbers, phones, e-mails, names (R110).

Numbers and addresses are found by their form. Names are found by a list of given names and
surnames common in Israel (`names.py`), each with the other half of its two-word name, and by words
that announce a name ("בשם"). A list is never complete: the masking lowers the harm of a text that
should not have held a name, it does not allow one.
"""

from __future__ import annotations

import re
from functools import cache

from pipelines.sources.names import (
    GIVEN,
    GIVEN_OR_WORD,
    NO_NAME,
    NO_NAME_BEHIND_A_LETTER,
    SURNAME_ENDS,
    SURNAME_OR_WORD,
    SURNAMES,
)

MASK = "•••"

_GAP = r"[\s\u00a0.\-\u2010-\u2015\u2212\u05be]"  # a blank, a dot, any of the dashes
# Not inside a longer number or behind a decimal point; "ת.ז.990023887" begins behind a dot.
_START, _END = r"(?<!\d)(?<!\d[.,])", r"(?!\d)"
_ID = rf"{_START}(?:0*\d{{9}}|\d{{3}}{_GAP}\d{{3}}{_GAP}\d{{3}}|\d{{7,8}}{_GAP}?-{_GAP}?\d){_END}"
_PHONE = (
    rf"{_START}(?:(?:\+|00)?972{_GAP}?(?:\(0\)|0)?{_GAP}?|\(?0)(?:[23489]|5\d|7\d)\)?{_GAP}?"
    rf"(?:\d{{3}}{_GAP}?\d{{4}}|\d{{3}}{_GAP}?\d{{2}}{_GAP}?\d{{2}}|\d{{2}}{_GAP}?\d{{2}}{_GAP}?\d{{3}}){_END}"
)
_EMAIL = r"[\w.+-]+@[\w-]+\.[\w.-]+"
_NUMBERS = re.compile(f"{_EMAIL}|{_PHONE}|{_ID}")
# A quick look that spares the long patterns the texts without anything to find.
HINT = r"\d{4}|\d\D{1,2}\d|@|[א-ת]"


def _one_of(*lists: str) -> str:
    """Return a pattern of any of the listed names, whatever joins the parts of a double name."""
    names = sorted(" ".join(lists).split(), key=len, reverse=True)
    return f"(?:{'|'.join(names).replace('־', '[־ -]')})"


_WORD = "[א-ת][א-ת\"'׳״-]*"
_AFTER = r"(?![א-ת\"'])"
# A Hebrew word may carry one letter for "and", "to", "from", "that", "in", "as", "the".
_BEFORE = rf"(?<![א-ת\"'])(?!{_one_of(NO_NAME_BEHIND_A_LETTER)}{_AFTER})[ושלמבכה]?"
_ANY_SURNAME = (
    rf"(?:{_one_of(SURNAMES, SURNAME_OR_WORD)}|[א-ת]{{2,}}(?:{SURNAME_ENDS})|אבו[ -][א-ת]+)"
)
# What stands before a surname is a given name, unless it is a word that often does.
_FIRST = rf"(?![ושלמבכה]?{_one_of(NO_NAME)}{_AFTER})[א-ת]{{2,}}(?:['׳][א-ת]*)?"
_NAMES = (
    rf"{_BEFORE}{_one_of(GIVEN)}(?:[ -]{_ANY_SURNAME})?{_AFTER}"
    rf"|{_BEFORE}{_one_of(GIVEN_OR_WORD)}[ -]{_ANY_SURNAME}{_AFTER}"
    rf"|{_BEFORE}{_one_of(SURNAMES)}(?:[ -]{_one_of(GIVEN_OR_WORD)})?{_AFTER}"
    rf"|(?<![א-ת\"']){_FIRST}[ -]{_one_of(SURNAMES)}{_AFTER}"
)
_ANNOUNCED = (
    r"(?<![א-ת])((?:ש?קוראים ל(?:ו|ה|י)|ו?בשם|ו?שמ(?:ו|ה|י)|מר|גב'|גב׳|הגב')\s+)"
    rf"(?!ה?ז(?:ה|ו)\b)({_WORD}(?:\s+{_ANY_SURNAME})?)"
)


def mask_numbers(text: str) -> str:
    """Mask id numbers, phones and e-mail addresses."""
    return _NUMBERS.sub(MASK, text)


def mask_personal(text: str) -> str:
    """Mask id numbers, phones, e-mail addresses and names."""
    announced, names = _patterns()
    return names.sub(MASK, announced.sub(rf"\1{MASK}", mask_numbers(text)))


@cache  # compiled once, and not by those who read no text: it takes a second
def _patterns() -> tuple[re.Pattern[str], re.Pattern[str]]:
    return re.compile(_ANNOUNCED), re.compile(_NAMES)
