"""What a little more room in a rule would be worth, and what every option pays for what it uses."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl
from scipy import optimize, sparse

from models.allocation.problem.words import NO_PLAN
from models.allocation.solve.model import Model
from models.allocation.solve.national.decomposition import prices_apart
from models.allocation.solve.resolve import is_national


@dataclass(frozen=True)
class Prices:
    """Shadow prices of the rows of a model.

    Attributes:
        row: by row: worth of one more unit of its limit; above 0 where an upper limit holds back,
            below 0 where a lower limit demands. Rows of "one dose for a pair" have their own.
        bound: worth of the relaxed problem; no plan is worth more.
    """

    row: np.ndarray
    bound: float

    def paid(self, model: Model, rule: int) -> np.ndarray:
        """By option, what it pays (or, below 0, earns) under one rule, in SD·pupils."""
        own = np.flatnonzero(model.owner == rule)
        return np.asarray(self.row[own] @ model.matrix[own]).ravel()

    def table(self, model: Model) -> pl.DataFrame:
        """The prices that are not zero, of rules that have one.

        Where a rule has several rows in a school, such as two responses to keep, it is the dearest.

        Returns:
            rule_id, semel_mosad (null = all schools), price (SD·pupils for one unit more of the
            rule's row: agorot, pupils or responses), price_per_thousand (of 1,000 NIS more room in
            a rule about money; null for other rules), by rule and school.
        """
        rows = [
            (
                rule.rule_id,
                row.semel_mosad,
                float(price),
                float(price) * 100_000 * rule.relaxed_per if rule.relaxed_in == "agorot" else None,
            )
            for row, owner, price in zip(model.rows, model.owner, self.row, strict=True)
            if owner >= 0 and price != 0
            for rule in [model.rules[owner]]
            if rule.is_priced
        ]
        key = ["rule_id", "semel_mosad"]
        return (
            pl.DataFrame(
                rows,
                schema={
                    "rule_id": pl.String,
                    "semel_mosad": pl.String,
                    "price": pl.Float64,
                    "price_per_thousand": pl.Float64,
                },
                orient="row",
            )
            .sort(*key, -pl.col("price").abs())
            .unique(key, keep="first", maintain_order=True)
        )


def shadow_prices(model: Model) -> Prices:
    """Prices from the linear relaxation, in which options can be bought in part, leads with them.

    What can only be bought whole has no exact price: these rank and explain, they are not what a
    larger budget would really bring (`frontier.rule_prices` solves for that). Of a country they are
    the multipliers of what schools share, and those of each school's own rows beside them.

    Raises:
        ValueError: not even in parts does any plan keep the rules.
    """
    if is_national(model):
        apart = prices_apart(model)
        if apart is None:
            raise ValueError(NO_PLAN)
        return Prices(*apart)
    size = np.maximum(abs(model.matrix).max(axis=1).toarray().ravel(), 1.0)
    scaled = (sparse.diags_array(1 / size) @ model.matrix).tocsr()
    at_most, at_least = np.isfinite(model.upper), np.isfinite(model.lower)
    held, most_held = model.lead_rows()
    benefit, leads = model.benefit(), len(model.lead)
    unit = model.weighted.max() or 1.0
    top = np.append(model.columns.options["is_eligible"].to_numpy().astype(float), np.ones(leads))
    led = sparse.diags_array(1 / size) @ model.leading[:, model.lead]
    scaled = sparse.hstack([scaled, led], format="csr")
    found = optimize.linprog(
        -benefit / unit,
        A_ub=sparse.vstack([scaled[at_most], -scaled[at_least], held], format="csr"),
        b_ub=np.concatenate(
            [(model.upper / size)[at_most], -(model.lower / size)[at_least], most_held]
        ),
        bounds=np.column_stack([np.zeros(len(benefit)), top]),
        method="highs-ds",
    )
    if found.status != 0:
        raise ValueError(NO_PLAN)
    dual = -found.ineqlin.marginals * unit
    row = np.zeros(len(size))
    most = int(at_most.sum())
    row[at_most] += dual[:most] / size[at_most]
    row[at_least] -= dual[most : most + int(at_least.sum())] / size[at_least]
    return Prices(row, -found.fun * unit)
