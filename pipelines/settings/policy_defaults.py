"""A city's whole policy: what its `policy.yaml` says, over what holds where it says nothing.

`policy_defaults.yaml` has two parts. What stands under `everywhere` holds in every city. Under
`where_named` stand catalogues: an entry holds where the city names its key, and `'*'` is an entry
for every key that it names. Mappings are merged key by key; a parameter, a list or a plain value of
the city replaces what stands there as a whole. A whole policy, merged again, is itself.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from pipelines.settings.parameters import Model
from pipelines.settings.validation import validated
from pipelines.settings.yaml_files import CityError, line_of, place_of, read_yaml

DEFAULTS = Path(__file__).with_suffix(".yaml")
ANY = "*"
OPEN = "?"
"""What stands in a drafted policy, or beside a question, where people have to decide."""
Keys = tuple[str | int, ...]
_BARE = re.compile(r"(?!(?:y|n|yes|no|on|off|true|false|null)$)[a-z_][a-z0-9_]*", re.IGNORECASE)


class _Defaults(Model):
    """`policy_defaults.yaml`; a catalogue is named by the keys that lead to it, with dots."""

    everywhere: dict[str, Any]
    where_named: dict[str, dict[str, dict[str, Any]]]


class Stated(NamedTuple):
    """A part of a file that states a part of the policy: the keys to it, and what it holds."""

    path: Path
    keys: Keys
    held: Any

    def part(self, key: Any) -> Iterator[Stated]:
        """Yield what it states under a key, if anything."""
        if key in self.held:
            yield Stated(self.path, (*self.keys, key), self.held[key])


@dataclass(frozen=True)
class WholePolicy:
    """A policy merged over the defaults, not validated yet.

    Attributes:
        raw: the policy, as a file would hold it.
        origins: file, and keys in it, of every part, by the part's keys in the policy; a mapping
            that both files state counts to the city.
    """

    raw: Any
    origins: Mapping[Keys, tuple[Path, Keys]]

    def where(self, place: Sequence[str | int]) -> tuple[Path, tuple[int, int]]:
        """Return the file, and line and column in it, of the deepest stated part of a place."""
        known: Keys = ()
        rest: Keys = ()
        for key in place:
            if (*known, key) in self.origins:
                known, rest = (*known, key), ()
            else:
                rest = (*rest, key)
        path, keys = self.origins[known]
        return path, place_of(path, (*keys, *rest))

    def text(self, remark: Callable[[Path, int], str] | None = None) -> str:
        """Return the policy as a YAML file of one line per decision.

        Args:
            remark: what to say beside a decision, given the file and the line (from 1) that state
                it; nothing is said if not given.
        """
        return "".join(f"{line}\n" for line in self._lines(self.raw, (), remark))

    def _lines(
        self, part: dict[Any, Any], place: Keys, remark: Callable[[Path, int], str] | None
    ) -> Iterator[str]:
        for key, value in part.items():
            here, start = (*place, key), f"{'  ' * len(place)}{_flow(key)}:"
            if value and _is_open(value):
                yield start
                yield from self._lines(value, here, remark)
            else:
                file, (line, _) = self.where(here)
                said = f"  # {remark(file, line)}" if remark else ""
                yield f"{start} {_flow(value)}{said}"


class OpenDecisionsError(CityError):
    """A policy in which something is still to be decided.

    Attributes:
        places: the keys of each decision, with dots, and its line.
    """

    def __init__(self, path: Path, places: Sequence[tuple[str, int]]) -> None:
        self.places = tuple(places)
        listed = ", ".join(f"{keys} (line {line})" for keys, line in places)
        listed_he = ", ".join(f"{keys} (שורה {line})" for keys, line in places)
        super().__init__(
            f"{path.name}: still open: {listed}; write a value in place of each '{OPEN}', as the"
            " remark beside it says, or remove the response",
            f"{path.name}: טרם הוכרע: {listed_he}; יש לכתוב ערך במקום כל '{OPEN}' לפי ההערה שלצידו,"
            " או למחוק את המענה",
        )


def _open_in(held: Any, place: Keys = ()) -> Iterator[Keys]:
    """Yield the keys of every value that is still to be decided."""
    if held == OPEN:
        yield place
    elif isinstance(held, dict | list):
        items = held.items() if isinstance(held, dict) else enumerate(held)
        for key, value in items:
            yield from _open_in(value, (*place, key))


def whole_policy(path: Path) -> WholePolicy:
    """Read a city's `policy.yaml` and merge it over the defaults.

    Raises:
        CityError: if a file is missing or is no file of settings, or if the city empties a part
            that the defaults fill; `OpenDecisionsError` if something is still to be decided.
    """
    city = read_yaml(path)
    if not isinstance(city, dict):
        return WholePolicy(city, {(): (path, ())})
    if left := list(_open_in(city)):
        raise OpenDecisionsError(
            path, [(".".join(map(str, keys)), line_of(path, keys)) for keys in left]
        )
    defaults = validated(DEFAULTS, read_yaml(DEFAULTS), _Defaults)
    merging = _Merging(defaults.where_named)
    everywhere = Stated(DEFAULTS, ("everywhere",), defaults.everywhere)
    raw = merging.of([everywhere, Stated(path, (), city)], (), is_named=True)
    return WholePolicy(raw, merging.origins)


@dataclass(frozen=True)
class _Merging:
    """What the catalogues hold, and where each part that was merged stands."""

    catalogues: Mapping[str, Mapping[str, Mapping[str, Any]]]
    origins: dict[Keys, tuple[Path, Keys]] = field(default_factory=dict)

    def of(self, stated: Sequence[Stated], place: Keys, *, is_named: bool = False) -> Any:
        """Return a part of the policy.

        Args:
            stated: what the files say of it, the strongest last; one at least.
            place: keys of the part.
            is_named: whether the part may be empty: an entry that is only named.
        """
        top = stated[-1]
        self.origins[place] = (top.path, top.keys)
        layers: list[Stated] = []
        for layer in reversed(stated):
            if not _is_open(layer.held):
                break
            layers.insert(0, layer)
        if not layers:
            return top.held
        if not top.held and not is_named and any(layer.held for layer in layers):
            _refuse_empty(top, place)
        catalogue = ".".join(map(str, place))
        merged = {}
        for key in dict.fromkeys(key for layer in layers for key in layer.held):
            parts = [part for layer in layers for part in layer.part(key)]
            listed = [part for name in (ANY, key) for part in self._listed(catalogue, name)]
            merged[key] = self.of(
                [*listed, *parts], (*place, key), is_named=catalogue in self.catalogues
            )
        return merged

    def _listed(self, catalogue: str, name: Any) -> Iterator[Stated]:
        held = self.catalogues.get(catalogue, {})
        yield from Stated(DEFAULTS, ("where_named", catalogue), held).part(name)


def _is_open(value: Any) -> bool:
    """Whether a value is merged key by key: a mapping that is no parameter."""
    return isinstance(value, dict) and "value" not in value


def _refuse_empty(top: Stated, place: Keys) -> None:
    where, line = ".".join(map(str, place)), line_of(top.path, top.keys)
    raise CityError(
        f"{top.path}: line {line}: {where} is empty, and the defaults hold in it all the same;"
        f" write what is decided otherwise, or leave it out (see {DEFAULTS.name}).",
        f"{top.path}: שורה {line}: {where} ריק, וברירות המחדל חלות בו בכל מקרה; יש לכתוב מה נקבע"
        f" אחרת, או להשמיט (ראו {DEFAULTS.name}).",
    )


class _Dumper(yaml.SafeDumper):
    """Writes what the strict reader reads as the same: all texts but plain words in quotes."""


def _quoted(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    style = None if _BARE.fullmatch(text) else "'"
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _quoted)
_Dumper.ignore_aliases = lambda *_: True  # type: ignore[method-assign]


def _flow(value: Any) -> str:
    """Return a value as YAML in one line."""
    text = yaml.dump(
        value,
        Dumper=_Dumper,
        default_flow_style=True,
        allow_unicode=True,
        sort_keys=False,
        width=2**31 - 1,
    )
    return text.removesuffix("\n").removesuffix("\n...")
