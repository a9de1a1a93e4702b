"""Change what a settings file of a city holds and keep all that people wrote beside it.

Remarks, order and spelling stay where a value stays; ruamel.yaml keeps them, PyYAML's reading
decides what a value is, as everywhere (`yaml_files.py`).
"""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import Any

import yaml
from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.error import CommentMark
from ruamel.yaml.scalarstring import SingleQuotedScalarString
from ruamel.yaml.tokens import CommentToken

_WIDE = 2**31 - 1


def edited(text: str, held: Mapping[str, Any], wanted: Mapping[str, Any]) -> str:
    """Return a file's text with what it is to hold.

    Args:
        text: the file as it stands.
        held: what it holds, as `read_yaml` reads it.
        wanted: what it is to hold; what is equal is left as it is written.
    """
    if held == wanted:
        return text
    writer = YAML(typ="rt")
    writer.preserve_quotes, writer.width = True, _WIDE
    tree = writer.load(text)
    if not isinstance(tree, CommentedMap):
        raise TypeError("a settings file is a mapping")
    _edit(tree, held, wanted)
    out = io.StringIO()
    writer.dump(tree, out)
    return out.getvalue()


def _edit(tree: CommentedMap, held: Mapping[str, Any], wanted: Mapping[str, Any]) -> None:
    for key in [key for key in tree if key not in wanted]:
        place, below = list(tree).index(key), _taken_below(tree, key)
        del tree[key]
        if place:
            _put_below(tree, list(tree)[place - 1], below)
    former: str | None = None
    for key, value in wanted.items():
        if key not in tree:  # it comes after the one that it follows, before what stands there
            below = _taken_below(tree, former) if former is not None else ""
            place = list(tree).index(former) + 1 if former is not None else 0
            tree.insert(place, key, _written(value))
            _put_below(tree, key, below)
        elif held[key] != value:
            below = _taken_below(tree, key)
            tree[key] = _new(tree[key], held[key], value)
            _put_below(tree, key, below)
        former = key


def _new(tree: Any, held: Any, value: Any) -> Any:
    """Return the node of a value, from the node of what stood there."""
    if isinstance(tree, CommentedMap) and isinstance(value, Mapping):
        _edit(tree, held, value)
        return tree
    if isinstance(value, list) and isinstance(tree, CommentedMap | CommentedSeq):
        return _list(tree, held, value)
    if isinstance(tree, CommentedSeq) and isinstance(value, Mapping):
        at = _alike(value, held)
        return _written(value) if at is None else _new(tree[at], held[at], value)
    return tree if held == value else _written(value)


def _list(tree: CommentedMap | CommentedSeq, held: Any, value: list[Any]) -> CommentedSeq:
    """Return a list's node; what was one mapping becomes the first of several."""
    if isinstance(tree, CommentedMap):
        tree, held = CommentedSeq([tree]), [held]
    above = ["", *(_taken_below(tree, place) for place in range(len(tree) - 1))]
    nodes, values = list(tree), list(held)
    found, remarks = CommentedSeq(), []
    if tree.fa.flow_style():
        found.fa.set_flow_style()
    found.ca.comment = tree.ca.comment
    for one in value:
        at = _alike(one, values)
        if at is None:
            found.append(_written(one))
            remarks.append("")
        else:
            found.append(_new(nodes.pop(at), values.pop(at), one))
            remarks.append(above.pop(at))
    for place, remark in enumerate(remarks[1:]):
        _put_below(found, place, remark)
    return found


def _alike(value: Any, others: Sequence[Any]) -> int | None:
    """Return which of several values is meant: the same one, or the mapping of the same file."""
    if value in others:
        return list(others).index(value)
    if not isinstance(value, Mapping):
        return None

    def named(one: Any) -> Any:
        return isinstance(one, Mapping) and (one.get("file"), one.get("form"), one.get("sheet"))

    return next((at for at, one in enumerate(others) if named(one) == named(value)), None)


def _written(value: Any) -> Any:
    """Return a new node, with quotes where PyYAML needs them to read a text as one."""
    if isinstance(value, Mapping):
        return CommentedMap((_written(key), _written(one)) for key, one in value.items())
    if isinstance(value, list | tuple):
        return CommentedSeq(map(_written, value))
    if isinstance(value, str) and yaml.safe_dump(value, width=_WIDE)[0] in "'\"":
        return SingleQuotedScalarString(value)
    return value


# ---- what stands below a part: it belongs to the next one ---------------------------------------


def _last(container: Any, key: Any) -> tuple[Any, Any]:
    """Return the container and key of the last value of a part, however deep."""
    while isinstance(part := container[key], CommentedMap | CommentedSeq) and len(part):
        if part.fa.flow_style():
            break
        container, key = part, next(reversed(part)) if isinstance(part, dict) else len(part) - 1
    return container, key


def _taken_below(tree: Any, key: Any) -> str:
    """Take the lines of remarks that stand below a part, and return them."""
    container, key = _last(tree, key)
    tokens = container.ca.items.get(key)
    at = _place(container)
    if not tokens or tokens[at] is None:
        return ""
    beside, _, below = tokens[at].value.partition("\n")
    if not below:
        return ""
    if beside.strip():
        tokens[at] = CommentToken(f"{beside}\n", tokens[at].start_mark)
    else:
        tokens[at] = None
    return str(below)


def _put_below(tree: Any, key: Any, below: str) -> None:
    if not below:
        return
    container, key = _last(tree, key)
    at = _place(container)
    tokens = container.ca.items.setdefault(key, [None] * 4)
    beside = tokens[at].value.partition("\n")[0] if tokens[at] else ""
    start = tokens[at].start_mark if tokens[at] else CommentMark(0)
    tokens[at] = CommentToken(f"{beside}\n{below}", start)


def _place(container: Any) -> int:
    return 2 if isinstance(container, CommentedMap) else 0
