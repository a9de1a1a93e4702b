"""How every YAML file of the product is read: strictly, so that no slip can become another value.

YAML 1.1 reads `0123` as 83, `1:30` as 90, `yes` as true, and of two equal keys the last; a flow
mapping reads `{budget: 8,100,000}` as a budget of 8 and two keys more. All this is refused with
its line and column, and with what to write instead. Only numbers as people write them, `true`,
`false`, days and texts are taken.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from datetime import date
from functools import cache, lru_cache
from pathlib import Path
from typing import Any, NoReturn

import yaml

MOST_VALUES = 1_000_000
"""Most values of a file once its aliases are written out: more is no file of a city."""
_PLAIN = (None, "")
_VALUES = "values"
_NULL = re.compile(r"~|null|Null|NULL|")
_INT = re.compile(r"[-+]?(0|[1-9][0-9]*)")
_FLOAT = re.compile(r"[-+]?([0-9]+\.[0-9]*|\.[0-9]+|[0-9]+(?=[eE]))([eE][-+]?[0-9]+)?")
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_SLIPS = (
    (
        re.compile(r"(?i)yes|no|on|off"),
        "YAML reads {} as true or false; write true or false, or a text in quotes: '{}'",
        "YAML קורא את {} כאמת או שקר; יש לכתוב true או false, או טקסט במרכאות: '{}'",
    ),
    (
        re.compile(r"[-+]?0[0-9_]+|[-+]?0[xXbBoO][0-9a-fA-F_]+"),
        "{} would be read in base 8, 16 or 2; write the number without a leading zero, or a code in"
        " quotes: '{}'",
        "{} ייקרא בבסיס 8, 16 או 2; יש לכתוב את המספר בלי אפס מוביל, או קוד במרכאות: '{}'",
    ),
    (
        re.compile(r"[-+]?[0-9][0-9_]*(:[0-5]?[0-9])+(\.[0-9_]*)?"),
        "{} would be read in base 60; write the number itself, or a time in quotes: '{}'",
        "{} ייקרא בבסיס 60; יש לכתוב את המספר עצמו, או שעה במרכאות: '{}'",
    ),
    (
        re.compile(r"[-+]?[0-9][0-9_]*_[0-9_]*(\.[0-9_]*)?"),
        "write the number {} without underscores, or a text in quotes: '{}'",
        "יש לכתוב את המספר {} בלי קווים תחתונים, או טקסט במרכאות: '{}'",
    ),
    (
        re.compile(r"(?i)[-+]?\.(nan|inf)"),
        "{} is no number that can be reckoned with; write a finite number, or a text in quotes:"
        " '{}'",
        "{} אינו מספר שאפשר לחשב בו; יש לכתוב מספר סופי, או טקסט במרכאות: '{}'",
    ),
)
# Marks that change the order of what follows, and letters of no width; the two plain marks of
# direction, U+200E and U+200F, are part of Hebrew texts.
_HIDDEN = re.compile("[\u202a-\u202e\u2066-\u2069\u200b-\u200d\u2060\ufeff]")
_TAGS = {f"tag:yaml.org,2002:{name}" for name in ("str", "int", "float", "bool", "null", "map")}
_TAGS |= {f"tag:yaml.org,2002:{name}" for name in ("seq", "timestamp", "merge")}


@cache  # most scalars of a file are said again and again
def _is_text(text: str) -> bool:
    """Whether YAML 1.1 and this reader both take a plain scalar as text."""
    return not _FLOAT.fullmatch(text) and not any(slip.fullmatch(text) for slip, *_ in _SLIPS)


class CityError(Exception):
    """A city's folder cannot be used; the message says what, where and what to do.

    Attributes:
        he: the same in Hebrew, for a municipal user.
    """

    def __init__(self, en: str, he: str) -> None:
        super().__init__(f"{en}\n{he}")
        self.en, self.he = en, he


class RefusedError(ValueError):
    """A part of a file that its schema refuses.

    Attributes:
        en, he: what is wrong, and what to write instead.
        place: keys that lead to it from the part that was being read.
    """

    def __init__(self, en: str, he: str, *place: str | int) -> None:
        where = ".".join(map(str, place))
        super().__init__(f"{where}: {en}" if where else en)
        self.en, self.he, self.place = en, he, place


def read_yaml(path: Path, may_be_empty: Sequence[str] | None = None) -> Any:
    """Return what a YAML file holds.

    Args:
        path: the file; UTF-8.
        may_be_empty: keys below which a key in a line of its own may have no value, which then is
            None; nowhere if not given.

    Raises:
        CityError: if it is missing, not UTF-8, not YAML, or holds what could be read as something
            else; names line, column and what to write instead.
    """
    root = _composed(path, _text(path))
    return None if root is None else _Reading(path, may_be_empty).value(root, ())[0]


def line_of(path: Path, keys: Sequence[str | int]) -> int:
    """Return the line (from 1) of the deepest of nested `keys` that the file has."""
    return place_of(path, keys)[0]


def place_of(path: Path, keys: Sequence[str | int]) -> tuple[int, int]:
    """Return line and column (from 1) of the deepest of nested `keys` that the file has.

    Keys that the file does not have are passed over, as the steps of a validator's path may name
    no key of the file.
    """
    node = _composed(path, _text(path))
    line, column = 1, 1
    for key in keys:
        if isinstance(node, yaml.MappingNode):
            found = [(name, value) for name, value in node.value if name.value == str(key)]
            if not found:
                continue
            mark, node = found[0][0].start_mark, found[0][1]
        elif isinstance(node, yaml.SequenceNode) and isinstance(key, int) and key < len(node.value):
            node = node.value[key]
            mark = node.start_mark
        else:
            continue
        line, column = mark.line + 1, mark.column + 1
    return line, column


def refuse_yml(folder: Path, *names: str) -> None:
    """Refuse files of a folder whose names would be passed over: `x.yml` where `x.yaml` is read.

    Args:
        folder: where to look; it need not exist.
        names: the names that are read there, without ending; any if none is given.

    Raises:
        CityError: naming the file, and what to call it.
    """
    for path in sorted(folder.glob("*")):
        if path.suffix.lower() not in (".yml", ".yaml") or path.suffix == ".yaml":
            continue
        if not names or path.stem in names:
            raise CityError(
                f"{path}: line 1: only files that end in .yaml are read; rename it to"
                f" {path.stem}.yaml, or take it out of the folder.",
                f"{path}: שורה 1: נקראים רק קבצים שסיומתם ‎.yaml; יש לשנות את השם ל־{path.stem}"
                ".yaml, או להוציא את הקובץ מהתיקייה.",
            )


def _text(path: Path) -> str:
    """Return the text of a file, whose bytes must be UTF-8 (a byte-order mark is passed over)."""
    if not path.is_file():
        raise CityError(
            f"{path}: there is no such file; a city is a folder with city.yaml and policy.yaml (see"
            " README, 'Bring your own city').",
            f"{path}: הקובץ חסר; עיר היא תיקייה ובה city.yaml ו-policy.yaml.",
        )
    held = path.read_bytes()
    if held.startswith((b"\xff\xfe", b"\xfe\xff")) or b"\x00" in held[:4]:
        _refuse(
            path, 1, 1, "the file is UTF-16; save it as UTF-8", "הקובץ ב־UTF-16; יש לשמור כ־UTF-8"
        )
    try:
        return held.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = held[: error.start]
        _refuse(
            path,
            before.count(b"\n") + 1,
            error.start - before.rfind(b"\n"),
            "these letters are not UTF-8 (perhaps windows-1255); save the file as UTF-8",
            "האותיות אינן UTF-8 (אולי windows-1255); יש לשמור את הקובץ כ־UTF-8",
        )


@lru_cache(maxsize=4)  # many lines are asked of one file
def _composed(path: Path, text: str) -> yaml.Node | None:
    try:
        node: yaml.Node | None = yaml.compose(text, Loader=yaml.CSafeLoader)
        return node
    except yaml.YAMLError as error:
        if (mark := getattr(error, "problem_mark", None)) is not None:
            line, column = mark.line + 1, mark.column + 1
        else:  # a character that no YAML file can hold
            before = text[: getattr(error, "position", 0)]
            line, column = before.count("\n") + 1, len(before) - before.rfind("\n")
        # The parser's end of the file lies a line below the last one.
        line = min(line, max(1, len(text.splitlines())))
        said = getattr(error, "problem", None) or getattr(error, "reason", error)
        raise CityError(
            f"{path}: not valid YAML at line {line}, column {column}: {said}.",
            f"{path}: הקובץ אינו YAML תקין: שורה {line}, עמודה {column}.",
        ) from None
    except RecursionError:
        _refuse(path, 1, 1, "it is nested too deep", "הקינון בקובץ עמוק מדי")


def _refuse(path: Path, line: int, column: int, en: str, he: str) -> NoReturn:
    raise CityError(
        f"{path}: line {line}, column {column}: {en}.",
        f"{path}: שורה {line}, עמודה {column}: {he}.",
    )


class _Reading:
    """One file being read: the values of its nodes, each read once however often it is named."""

    def __init__(self, path: Path, may_be_empty: Sequence[str] | None) -> None:
        self._path, self._may_be_empty = path, may_be_empty
        self._known: dict[int, tuple[Any, int]] = {}
        self._open: set[int] = set()

    def value(self, node: yaml.Node, place: tuple[str, ...]) -> tuple[Any, int]:
        """Return what a node holds, and how many values that is with its aliases written out."""
        if id(node) in self._open:
            self._refuse(node, "it names itself by an alias", "החלק מפנה אל עצמו")
        if id(node) not in self._known:
            self._open.add(id(node))
            self._known[id(node)] = self._read(node, place)
            self._open.remove(id(node))
        value, size = self._known[id(node)]
        if size > MOST_VALUES:
            self._refuse(
                node,
                f"with its aliases it holds over {MOST_VALUES:,} values; write out what is meant",
                f"יחד עם ההפניות יש כאן יותר מ־{MOST_VALUES:,} ערכים; יש לכתוב את הערכים עצמם",
            )
        return value, size

    def _read(self, node: yaml.Node, place: tuple[str, ...]) -> tuple[Any, int]:
        if node.tag not in _TAGS:
            self._refuse(
                node,
                f"the tag {node.tag} is not taken; write a plain value",
                f"התג {node.tag} אינו מתקבל; יש לכתוב ערך פשוט",
            )
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, place)
        if isinstance(node, yaml.SequenceNode):
            items = [self.value(item, place) for item in node.value]
            for item, (value, _) in zip(node.value, items, strict=True):
                if value is None:
                    self._empty(item, "an item of this list", "פריט ברשימה")
            return [value for value, _ in items], 1 + sum(size for _, size in items)
        return self._scalar(node), 1

    def _mapping(self, node: yaml.MappingNode, place: tuple[str, ...]) -> tuple[Any, int]:
        found: dict[Any, Any] = {}
        lines: dict[str, int] = {}
        size = 1
        for key_node, value_node in node.value:
            key = self._key(key_node, place)
            if str(key) in lines:
                self._refuse(
                    key_node,
                    f"the key '{key}' stands in line {lines[str(key)]} already; keep one of the"
                    " two",
                    f"המפתח '{key}' כבר כתוב בשורה {lines[str(key)]}; יש להשאיר אחד מהשניים",
                )
            lines[str(key)] = key_node.start_mark.line + 1
            value, values = self.value(value_node, (*place, str(key)))
            if value is None and not self._is_empty_here(node, value_node, place):
                self._empty(key_node, f"'{key}'", f"'{key}'")
            found[key], size = value, size + values
        return found, size

    def _key(self, node: yaml.Node, place: tuple[str, ...]) -> Any:
        if not isinstance(node, yaml.ScalarNode) or node.tag.endswith(":merge"):
            self._refuse(
                node,
                "a key is one word; write out the keys that are meant",
                "מפתח הוא מילה אחת; יש לכתוב את המפתחות עצמם",
            )
        key = self._scalar(node)
        # An empty cell has a meaning of its own among the values of a column (`values:`).
        is_cell = _VALUES in place and node.style not in _PLAIN
        if key is None or (key == "" and not is_cell):
            self._refuse(node, "here a key is missing", "חסר כאן מפתח")
        return key

    def _is_empty_here(
        self, mapping: yaml.MappingNode, value: yaml.Node, place: tuple[str, ...]
    ) -> bool:
        """Whether a key may be without a value: on a line of its own, or with null written out."""
        above = self._may_be_empty
        if above is None or place[: len(above)] != tuple(above):
            return False
        return bool(value.value) or not mapping.flow_style

    def _empty(self, node: yaml.Node, what: str, what_he: str) -> NoReturn:
        self._refuse(
            node,
            f"{what} has no value; write one, or leave it out (a comma parts entries: write"
            " 8,100,000 as 8100000)",
            f"ל{what_he} אין ערך; יש לכתוב ערך או להשמיט (פסיק מפריד בין פריטים: 8,100,000 נכתב"
            " 8100000)",
        )

    def _scalar(self, node: yaml.Node) -> Any:
        text: str = node.value
        if hidden := _HIDDEN.search(text):
            self._refuse(
                node,
                f"it holds the hidden character U+{ord(hidden[0]):04X}; type the text anew",
                f"יש כאן תו נסתר U+{ord(hidden[0]):04X}; יש להקליד את הטקסט מחדש",
            )
        if "http://" in text:
            self._refuse(
                node,
                "http:// would make a published page refer to another host; write https://, or the"
                " name of the work",
                "‏http:// יגרום לדף מתפרסם להפנות לאתר אחר; יש לכתוב https://, או את שם המקור",
            )
        if getattr(node, "style", None) not in _PLAIN or (
            node.tag.endswith(":str") and _is_text(text)
        ):
            return text
        for slip, en, he in _SLIPS:
            if slip.fullmatch(text):
                self._refuse(node, en.format(text, text), he.format(text, text))
        if _NULL.fullmatch(text):
            return None
        if text.lower() in ("true", "false"):
            return text.lower() == "true"
        if _INT.fullmatch(text):
            return int(text)
        if _FLOAT.fullmatch(text):
            return self._finite(node, text)
        if _DAY.fullmatch(text):
            try:
                return date.fromisoformat(text)
            except ValueError:
                self._refuse(node, f"there is no day {text}", f"אין תאריך {text}")
        return text

    def _finite(self, node: yaml.Node, text: str) -> float:
        number = float(text)
        if not math.isfinite(number):
            self._refuse(node, f"{text} is too large a number", f"{text} הוא מספר גדול מדי")
        return number

    def _refuse(self, node: yaml.Node, en: str, he: str) -> NoReturn:
        _refuse(self._path, node.start_mark.line + 1, node.start_mark.column + 1, en, he)
