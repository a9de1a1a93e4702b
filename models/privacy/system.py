"""What is told of counts, as whole numbers under linear rows."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise

import numpy as np
from scipy import sparse
from scipy.sparse.csgraph import connected_components

_UNBOUNDED = 10**6  # more pupils than any place has


@dataclass(frozen=True)
class System:
    """Counts x with lower ≤ x ≤ upper, and rows low ≤ matrix·x ≤ high, all whole numbers.

    Attributes:
        names: of the counts, in canonical order.
        told: the value of each count that readers see; -1 where they see none.
        lower, upper: what anybody knows of a count that is not told.
        matrix: rows × counts.
        low, high: ends of the rows.
        row_names: the published share that a row tells; empty where it holds by meaning, as parts
            of a whole do.
    """

    names: tuple[str, ...]
    told: np.ndarray
    lower: np.ndarray
    upper: np.ndarray
    matrix: sparse.csr_array
    low: np.ndarray
    high: np.ndarray
    row_names: tuple[str, ...]

    @classmethod
    def of(
        cls,
        counts: Mapping[str, tuple[int | None, int]],
        rows: Collection[tuple[str, Mapping[str, float], float, float]],
    ) -> System:
        """Make a system.

        Args:
            counts: name → (value that is told, or None; least it can be where it is not told).
            rows: (name, count → coefficient, low, high).
        """
        names = tuple(sorted(counts))
        place = {name: number for number, name in enumerate(names)}
        ordered = sorted((row[0], sorted(row[1].items()), row[2], row[3]) for row in rows)
        entries = [
            (coefficient, number, place[name])
            for number, (_, terms, _, _) in enumerate(ordered)
            for name, coefficient in terms
        ]
        factors, *at = (
            (np.array(part) for part in zip(*entries, strict=True))
            if entries
            else 3 * [np.empty(0)]
        )
        told = np.array(
            [-1 if (value := counts[n][0]) is None else value for n in names], dtype=np.int64
        )
        return cls(
            names,
            told,
            np.array([counts[name][1] for name in names], dtype=np.int64),
            np.full(len(names), _UNBOUNDED, dtype=np.int64),
            sparse.csr_array((factors.astype(float), tuple(at)), shape=(len(ordered), len(names))),
            np.array([row[2] for row in ordered], dtype=float),
            np.array([row[3] for row in ordered], dtype=float),
            tuple(row[0] for row in ordered),
        )

    @property
    def is_hidden(self) -> np.ndarray:
        """Which counts readers do not see."""
        return self.told < 0

    def hiding(self, cells: Collection[str]) -> System:
        """The same with these counts and published shares hidden too."""
        hidden = set(cells)
        is_row, is_count = (
            np.fromiter((name in hidden for name in names), dtype=bool, count=len(names))
            for names in (self.row_names, self.names)
        )
        return replace(
            self,
            told=np.where(is_count, -1, self.told),
            low=np.where(is_row, -np.inf, self.low),
            high=np.where(is_row, np.inf, self.high),
        )

    def blocks(self) -> Iterator[np.ndarray]:
        """Yield the counts that hang together through what is hidden, each block apart."""
        hidden = np.flatnonzero(self.is_hidden)
        part = self.matrix[:, hidden]
        count, label = connected_components(abs(part.T) @ abs(part), directed=False)
        order = np.argsort(label, kind="stable")
        bounds = np.searchsorted(label[order], np.arange(count + 1))
        for first, last in pairwise(bounds):
            yield hidden[order[first:last]]

    def about(self, columns: np.ndarray) -> np.ndarray:
        """Return the rows about some counts."""
        return np.unique(self._by_count.indices[_inside(self._by_count.indptr, columns)])

    def entries(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return place among the rows, count and factor of every entry of some rows."""
        matrix, inside = self.matrix, _inside(self.matrix.indptr, rows)
        at = np.repeat(np.arange(len(rows)), np.diff(matrix.indptr)[rows])
        return at, matrix.indices[inside], matrix.data[inside]

    @cached_property
    def _by_count(self) -> sparse.csc_array:
        return self.matrix.tocsc()


def _inside(starts: np.ndarray, chosen: np.ndarray) -> np.ndarray:
    """Return where the entries of chosen rows (of a CSR matrix) or columns (CSC) stand."""
    lengths = np.diff(starts)[chosen]
    before = np.cumsum(lengths) - lengths
    return np.arange(lengths.sum()) + np.repeat(starts[chosen] - before, lengths)
