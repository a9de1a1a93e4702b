"""What a header of an unknown file says: its words, and how well they name a column.

Words are compared as they are meant: short forms written out, stems instead of endings, words of
one meaning as one (`settings/headers.yaml`). A rare word says more than one that half of all
columns have in their names.
"""

from __future__ import annotations

import difflib
import math
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Any

from pipelines.settings.fields import Field, dictionary
from pipelines.settings.yaml_files import read_yaml
from pipelines.sources import normalise

_WORDS = Path(__file__).parents[1] / "settings" / "headers.yaml"
_COUNT, _SHARE, _DAY = "#", "%", "@"
_MARKS = (_COUNT, _SHARE, _DAY)
_MARK_WEIGHT, _WEAK_WEIGHT = 0.3, 0.3
_ALIKE = 0.84  # how alike two texts must be to resemble each other
_NO_UNIT = 0.5  # what is left of a score where a header speaks of another kind of value
_NOISE = re.compile(r"\b(19|20)\d\d(/\d\d(\d\d)?)?\b|תש[א-ת]\"[א-ת]|\[\d+\]|(?<=[א-ת])\d\b")
_UNITS = {"nis", "agorot", 'ש"ח', "אלפי", "באלפי", "אלפים", "מיליוני", "₪", 'בש"ח', 'למ"ס', "למס"}
_WORD = re.compile(r"[א-תa-z%]+(?:['\"][א-תa-z]+)*'?|\d+")
_FINAL = str.maketrans("ךםןףץ", "כמנפצ")
_ENDINGS = ("ויות", "יות", "ים", "ות", "יי", "ת", "ה", "י")
_PREFIXES = "הבלמשוכ"
_TYPED = {  # what the words for a number, a share or a day promise of a column
    _COUNT: ("INTEGER", "BIGINT", "DOUBLE", "DECIMAL", "VARCHAR"),
    _SHARE: ("DOUBLE", "DECIMAL", "INTEGER"),
    _DAY: ("DATE",),
}


@dataclass(frozen=True)
class Name:
    """One thing that a column may be called.

    Attributes:
        spelt: as it is written.
        words: as they are meant, in their order.
        what: how to speak of it.
        own: whether it is the column's own name or label, not another name.
    """

    spelt: str
    words: tuple[str, ...]
    what: str
    own: bool

    @cached_property
    def plain(self) -> tuple[str, ...]:
        """Its words as they are written."""
        return plain_words(self.spelt)

    @cached_property
    def meant(self) -> frozenset[str]:
        """Its words as they are meant."""
        return frozenset(self.words)

    @cached_property
    def initials(self) -> str:
        """The first letters of its words."""
        return "".join(word[0] for word in self.plain)


@cache
def _held() -> dict[str, Any]:
    return dict(read_yaml(_WORDS))


@cache
def _abbreviations() -> tuple[tuple[re.Pattern[str], str], ...]:
    return tuple(
        (re.compile(rf"(?<![א-ת\"']){'ה?' + re.escape(short)}(?![א-ת\"'])"), f" {long} ")
        for short, long in sorted(_held()["abbreviations"].items(), key=lambda one: -len(one[0]))
    )


def stem(word: str) -> str:
    """Return a word without article, ending and doubled letters, as far as two letters remain."""
    if not re.fullmatch(r"[א-ת]+", word):
        return word.removesuffix("s") if len(word) > 3 else word
    plain = word.translate(_FINAL).replace("יי", "י").replace("וו", "ו")
    if plain.startswith("ה") and len(plain) > 3:
        plain = plain[1:]
    for ending in _ENDINGS:
        rest = plain.removesuffix(ending.translate(_FINAL))
        if rest != plain and len(rest) >= 2:
            return rest
    return plain


@cache
def _meanings() -> dict[str, str]:
    """Return stems that stand for a mark or for another stem; several words are joined by `_`."""
    held = _held()
    found = {
        stem(word): mark
        for mark, name in zip(_MARKS, ("counting", "share", "dates"), strict=True)
        for word in held[name]
    }
    for group in held["same"]:
        first = "_".join(map(stem, group[0].split()))
        found |= {"_".join(map(stem, word.split())): first for word in group}
    return found


@cache
def _weak() -> frozenset[str]:
    return frozenset(map(stem, _held()["weak"]))


@cache
def plain_words(text: str) -> tuple[str, ...]:
    """Return the words of a name or header as they are written, without brackets and years."""
    spelt = normalise.spelling(text.replace("_", " "))
    spelt = re.sub(r"\([^)]*\)|\[[^\]]*\]", " ", spelt)
    words = _WORD.findall(_NOISE.sub(" ", spelt))
    return tuple(word.replace('"', "") for word in words if word not in _UNITS)


@cache
def meant_words(text: str) -> tuple[str, ...]:
    """Return the words of a name or header as they are meant, without brackets and years."""
    spelt = normalise.spelling(text.replace("_", " ").replace("-", " "))
    spelt = re.sub(r"\([^)]*\)|\[[^\]]*\]", " ", spelt)
    for pattern, long in _abbreviations():
        spelt = pattern.sub(long, spelt)
    found = []
    for word in _WORD.findall(_NOISE.sub(" ", spelt)):
        if word in _UNITS:
            continue
        is_short = word.endswith("'") and len(word) > 2
        found.append(word if is_short else stem(re.sub("[\"']", "", word)))
    meanings = _meanings()
    joined: list[str] = []
    while found:
        pair = "_".join(found[:2])
        size = 2 if len(found) > 1 and pair in meanings else 1
        word = pair if size == 2 else found[0]
        joined.append(meanings.get(word, word))
        found = found[size:]
    return tuple(_without_prefix(word) for word in joined)


@cache
def _meant_by(short: str) -> frozenset[str]:
    """Return what a short form with a geresh may be: every known word that it begins."""
    beginning = short.removesuffix("'").replace('"', "")
    longer = {stem(word) for word in _vocabulary() if word.startswith(beginning)}
    return frozenset(_meanings().get(word, word) for word in longer | {stem(beginning)})


@cache
def _vocabulary() -> tuple[str, ...]:
    """Return the words of all names, the most common first."""
    counted = Counter(
        word.replace('"', "")
        for name in _all_names()
        for text in _texts(name)
        for word in _WORD.findall(normalise.spelling(text[0]))
        if not word.endswith("'")
    )
    return tuple(sorted(counted, key=lambda word: (-counted[word], word)))


@cache
def _known_stems() -> frozenset[str]:
    return frozenset(map(stem, _vocabulary()))


def _without_prefix(word: str) -> str:
    """Return a word without a letter before it (ב, ל, ו …), if only so it is a known one."""
    is_known = word in _known_stems() or "_" in word or word.endswith("'")
    if is_known or len(word) < 4 or word[0] not in _PREFIXES:
        return word
    rest = stem(word[1:])
    return _meanings().get(rest, rest) if rest in _known_stems() else word


@cache
def _all_names() -> tuple[str, ...]:
    words = dictionary()
    return tuple(
        dict.fromkeys(n for source in words.sources for n in words.contract(source).contract)
    )


def _texts(name: str) -> Iterator[tuple[str, str, bool]]:
    field = dictionary().fields[name]
    yield name, "the column's name", True
    yield field.he, "the Hebrew label", True
    yield field.en, "the English label", True
    for other in _held()["names"].get(name, ()):
        yield other, "another name of the column", False


@cache
def names(name: str) -> tuple[Name, ...]:
    """Return what a column may be called."""
    return tuple(
        Name(normalise.spelling(text), meant_words(text), what, own)
        for text, what, own in _texts(name)
    )


@cache
def _weights() -> dict[str, float]:
    held = [{word for one in names(name) for word in one.words} for name in _all_names()]
    common = Counter(word for words in held for word in words)
    return {word: math.log(1 + len(held) / count) for word, count in common.items()}


@cache
def _weight(words: frozenset[str]) -> float:
    most = math.log(1 + len(_all_names()))
    known = _weights()
    return math.fsum(  # to the last bit the same, in whatever order a set gives its words
        _MARK_WEIGHT
        if word in _MARKS
        else _WEAK_WEIGHT
        if word in _weak() or word.isdecimal()
        else known.get(word, most)
        for word in words
    )


@cache  # files of several years have the same headers
def header_score(name: str, header: str) -> tuple[float, str]:
    """Return how well a header names a column of the contract (0 to 1), and why."""
    field, best, why = dictionary().fields[name], 0.0, ""
    parts = header.split(" / ") if " / " in header else []
    ways = [part for part in re.split(r"[/:]| [-–] ", header) if part.strip()]
    for one in names(name):
        score, reason = _score(one, header)
        for part in parts:
            again, said = _score(one, part)
            if meant_words(part) == one.words and one.words:
                # Of several columns under one heading the total is the one without further words.
                share = len(one.words) / max(1, len(meant_words(header)))
                again, said = 0.8 + 0.1 * share, "has a part that equals"
            score, reason = max((score, reason), (again if "part" in said else 0.85 * again, said))
        for way in ways if len(ways) > 1 and not parts else ():
            again, said = _score(one, way)
            score, reason = max((score, reason), (0.9 * again, said))
        if score > best:
            best, why = score, f"header {reason} {one.what}"
    return best * _kept(field, header), why


def _score(name: Name, header: str) -> tuple[float, str]:
    if name.spelt == _spelt(header):
        return (1.0 if name.own else 0.92), "equals"
    own, meant = plain_words(header), meant_words(header)
    if not meant or not name.words:
        return 0.0, ""
    if own == name.plain:
        # What stands in brackets tells apart columns that are otherwise called the same.
        return (0.98 if name.own else 0.91), "equals"
    ours = name.meant
    theirs = frozenset(
        next(iter(sorted(_meant_by(word) & ours)), word) if word.endswith("'") else word
        for word in meant
    )
    if ours == theirs:
        return (0.95 if name.own else 0.9), "means the same as"
    # The words that tell nothing alone are no reason: a number of what, a day of what?
    both = ours & theirs
    if both and not both <= _saying_nothing():
        common = _weight(both)
        covers, explains = common / _weight(ours), common / _weight(theirs)
        if covers > 0.999:
            return 0.58 + 0.32 * explains, "contains the words of"
        if covers * explains > 0.3:
            return 0.85 * covers * explains**0.5, "has words of"
    if len(own) <= 4 and (likeness := _likeness(name.spelt, " ".join(own))) > _ALIKE:
        return 0.8 * likeness, "resembles"
    if len(name.initials) > 1 and "".join(own) == name.initials and '"' in header:
        return 0.75, "has the first letters of"
    return 0.0, ""


@cache
def _spelt(text: str) -> str:
    return normalise.spelling(text)


@cache
def _saying_nothing() -> frozenset[str]:
    return _weak() | frozenset(_MARKS)


@cache
def _letters(text: str) -> Counter[str]:
    return Counter(text)


def _likeness(one: str, other: str) -> float:
    """Return how alike two texts are, 0 to 1; 0 as well where it is surely not above `_ALIKE`."""
    # No more of them is alike than letters that both have: to count these is much quicker.
    both = sum((_letters(one) & _letters(other)).values()) if _near(one, other) else 0
    if 2 * both <= _ALIKE * (len(one) + len(other)):
        return 0.0
    return difflib.SequenceMatcher(None, one, other).ratio()


def _near(one: str, other: str) -> bool:
    return 2 * min(len(one), len(other)) > _ALIKE * (len(one) + len(other))


def _kept(field: Field, header: str) -> float:
    return 1.0 if header_allows(field, header) else _NO_UNIT


def header_allows(field: Field, header: str) -> bool:
    """Whether a header that speaks of a number, a share or a day speaks of such a column."""
    meant = set(meant_words(header))
    if _SHARE in meant and field.unit not in ("percent", "share"):
        return False
    return all(field.type.startswith(types) for mark, types in _TYPED.items() if mark in meant)


@cache
def is_aside(header: str) -> bool:
    """Whether many files have such a column and no source asks for it."""
    meant = set(meant_words(header)) - _saying_nothing()
    known = [set(meant_words(text)) for text in _held()["aside"]]
    if any(words and words <= meant for words in known):
        return True
    whose = ("school_name_he", "authority_name", "locality_name")
    return any(set(one.words) == set(meant_words(header)) for n in whose for one in names(n))


@cache
def is_known(header: str) -> bool:
    """Whether a header is written as some column is called, so that it names nobody."""
    spelt = normalise.spelling(header)
    return any(spelt == one.spelt for name in _all_names() for one in names(name))


@cache
def speaks_of(source_id: str, text: str) -> float:
    """Return how well a title or the name of a sheet or file names a source, 0 to 1."""
    said = set(meant_words(text))
    calls = [dictionary().source_he(source_id), *_held()["about"].get(source_id, ())]
    named = [frozenset(meant_words(call)) for call in calls]
    found = [_weight(words) for words in named if words and words <= said]
    return min(1.0, max(found, default=0.0) / math.log(1 + len(_all_names())))
