"""Which parts of a city's files somebody has read: what a result of them depends on."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel

_Seen = dict[str, str]


class Watched:
    """A part of a city's files that notes what is read of it, down to single values.

    It stands in for the model everywhere. A field that is a model is watched in turn, and so is
    what a property reads; any other field counts as read with all that it holds, and so does the
    whole model where more is asked of it: what a method reads cannot be seen from outside.

    Attributes:
        seen: path → hash of what stood there, of everything read so far.
    """

    def __init__(self, model: BaseModel, path: str = "", seen: _Seen | None = None) -> None:
        """Watch a model; `seen` is shared by all parts of one."""
        own = {"_model": model, "_path": path, "seen": {} if seen is None else seen}
        self.__dict__.update(own)

    @property  # type: ignore[misc]
    def __class__(self) -> Any:
        """The class of the model, for who asks what this is."""
        return type(self._model)

    def __getattr__(self, name: str) -> Any:
        """A field of the model, noted."""
        model, path = self._model, f"{self._path}.{name}"
        if name not in type(model).model_fields:
            held = getattr(type(model), name, None)
            if isinstance(held, property) and held.fget:
                return held.fget(self)  # what it reads is seen like anything else
            self._note(self._path, model)
            return getattr(model, name)
        value = getattr(model, name)
        if isinstance(value, BaseModel):
            return Watched(value, path, self.seen)
        self._note(path, value)
        return value

    def _note(self, path: str, value: object) -> None:
        # Models of settings are frozen: what a path held once it holds to the end.
        if path not in self.seen:
            self.seen[path] = digest(value)

    def __eq__(self, other: object) -> bool:
        """As the model, all of which is read."""
        self._note(self._path, self._model)
        return bool(self._model == other)

    def __hash__(self) -> int:
        """As the model, all of which is read."""
        self._note(self._path, self._model)
        return hash(self._model)

    def __iter__(self) -> Any:
        """As the model, all of which is read."""
        self._note(self._path, self._model)
        return iter(self._model)


def is_as_seen(model: BaseModel, seen: Mapping[str, str]) -> bool:
    """Whether every part of a model that was read once holds the same now."""
    return all(_digest_at(model, path) == found for path, found in seen.items())


def _digest_at(model: BaseModel, path: str) -> str | None:
    """The hash of a part of a model; None where there is no such part."""
    value: Any = model
    for name in path.split(".")[1:]:
        if not isinstance(value, BaseModel) or name not in type(value).model_fields:
            return None
        value = getattr(value, name)
    return digest(value)


def digest(value: object) -> str:
    """A hash of a value of a city's files, by what it says."""
    return hashlib.sha256(repr(value).encode()).hexdigest()
