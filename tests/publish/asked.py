"""What the committee, a principal and a parent ask, and where each answer stands, in words.

A page of the answer is the first page, or one click from it, or (of a school or a response) one
click from its list; the answer is read before anything is unfolded.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import polars as pl

Tables = Mapping[str, pl.DataFrame]


@dataclass(frozen=True)
class Asked:
    """A question, and its answer.

    Attributes:
        who: asks it.
        question: in Hebrew, as it is asked.
        at: the place of the page; `{code}` is that of `code`.
        answer: what the page must say, reckoned from the marts alone; None where the city has no
            such fact.
        code: the school or response that is asked about.
    """

    who: str
    question: str
    at: str
    answer: Callable[[Tables], str | None]
    code: Callable[[Tables], str] = lambda tables: ""


ASKED: tuple[Asked, ...] = ()
