"""The SQL of `sql/`, written for DuckDB, in the words of another engine."""

from __future__ import annotations

from typing import Literal

import sqlglot
from sqlglot import exp

Engine = Literal["duckdb", "spark"]
# What means something in a regular expression and nothing in a file's pattern.
_SPECIAL = r"([.^$+(){}|\\\\])"


def in_dialect(text: str, engine: Engine) -> str:
    """Return one SELECT as an engine understands it, with the same rows.

    Whether a part is kept in memory is left to the engine.
    """
    if engine == "duckdb":
        return text
    tree = sqlglot.parse_one(text, read="duckdb").transform(_in_other_words)
    return tree.sql(dialect=engine)


def _in_other_words(node: exp.Expression) -> exp.Expression:
    """Say what no engine but DuckDB has a word for."""
    if isinstance(node, exp.CTE):
        node.set("materialized", None)
    if isinstance(node, exp.Glob):
        literal = f"REGEXP_REPLACE(p, '{_SPECIAL}', '\\\\\\\\$1')"
        pattern = f"CONCAT('^', REPLACE(REPLACE({literal}, '*', '.*'), '?', '.'), '$')"
        return exp.RegexpLike(this=node.this, expression=_with(pattern, p=node.expression))
    if isinstance(node, exp.Filter) and isinstance(node.this, exp.GroupConcat):
        return _joined(node.this, node.expression) or node
    if isinstance(node, exp.GroupConcat):
        return _joined(node) or node
    if isinstance(node, exp.Anonymous) and node.name.lower() == "isfinite":
        finite = "(NOT isnan(v) AND abs(v) < CAST('Infinity' AS DOUBLE))"
        return _with(finite, v=node.expressions[0])
    if isinstance(node, exp.Anonymous) and node.name.lower() == "list_sum":
        total = "AGGREGATE(v, CAST(0 AS DOUBLE), (total, one) -> total + one)"
        return _with(total, v=node.expressions[0])
    if isinstance(node, exp.Anonymous) and node.name.lower() == "lgamma":
        # Of a whole number: the logarithm of a factorial.
        numbers = "SEQUENCE(1, GREATEST(CAST(v AS INT) - 1, 1))"
        total = f"AGGREGATE({numbers}, CAST(0 AS DOUBLE), (total, one) -> total + LN(one))"
        return _with(total, v=node.expressions[0])
    return node


def _with(text: str, **values: exp.Expression) -> exp.Expression:
    """Return an expression of Spark with values in the place of its columns of their names."""
    said = {name: value.copy().transform(_in_other_words) for name, value in values.items()}
    return sqlglot.parse_one(text, read="spark").transform(
        lambda part: said.get(part.name, part) if isinstance(part, exp.Column) else part
    )


def _joined(node: exp.GroupConcat, where: exp.Expression | None = None) -> exp.Expression | None:
    """Say which distinct texts of some rows are joined, in their own order; None of others."""
    given = node.find(exp.Distinct)
    if given is None or len(given.expressions) != 1:
        return None
    found: exp.Expression = exp.ArrayUniqueAgg(this=given.expressions[0].copy())
    if where is not None:
        found = exp.Filter(this=found, expression=where.copy())
    texts = exp.func("ARRAY_JOIN", exp.func("ARRAY_SORT", found), node.args["separator"].copy())
    return exp.Nullif(this=texts, expression=exp.Literal.string(""))
