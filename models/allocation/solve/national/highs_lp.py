"""A linear programme that grows by columns and is solved again from where it stood."""

from __future__ import annotations

import highspy
import numpy as np

_OPTIONS: dict[str, bool | int | str] = {
    "output_flag": False,
    "threads": 1,
    "parallel": "off",
    "random_seed": 0,
    "presolve": "off",
    "solver": "simplex",
}


class GrowingLp:
    """Minimise cost·z, lower ≤ rows ≤ upper, z ≥ 0; columns come one batch at a time."""

    def __init__(self, lower: np.ndarray, upper: np.ndarray) -> None:
        """Rows without any column yet."""
        self._highs = highspy.Highs()
        for name, value in _OPTIONS.items():
            self._highs.setOptionValue(name, value)
        none = np.zeros(0, dtype=np.int32)
        starts = np.zeros(len(lower), dtype=np.int32)
        self._highs.addRows(len(lower), lower, upper, 0, starts, none, np.zeros(0))

    def add(self, cost: np.ndarray, start: np.ndarray, row: np.ndarray, value: np.ndarray) -> None:
        """Append columns, given by their cost and, one after the other, their entries."""
        lower, upper = np.zeros(len(cost)), np.full(len(cost), highspy.kHighsInf)
        entries = start.astype(np.int32), row.astype(np.int32), value
        self._highs.addCols(len(cost), cost, lower, upper, len(row), *entries)

    def set_cost(self, column: int, cost: float) -> None:
        """Change the cost of one column."""
        self._highs.changeColCost(column, cost)

    def solve(self) -> tuple[float, np.ndarray, np.ndarray]:
        """The optimum, the columns' values and the rows' prices.

        Raises:
            RuntimeError: the solver finds no optimum.
        """
        self._highs.run()
        status = self._highs.getModelStatus()
        if status != highspy.HighsModelStatus.kOptimal:
            text = self._highs.modelStatusToString(status)
            raise RuntimeError(f"The solver stopped with {text}.")
        solution = self._highs.getSolution()
        value = self._highs.getInfo().objective_function_value
        return value, np.array(solution.col_value), np.array(solution.row_dual)
