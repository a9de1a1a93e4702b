"""The SQL of `sql/`, written for DuckDB, in the words of Spark, and Spark to run it.

Spark lives in a Python of its own (`on_spark.py`), as it brings Java and some 400 MB. It reads and
writes Parquet; what it makes is a table of the warehouse like any other, checked and remembered
like any other.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import IO, Self

import sqlglot
from sqlglot import exp

from pipelines.settings.workspace import PROJECT
from pipelines.settings.yaml_files import CityError

PYTHON = "TIKKUN_SPARK_PYTHON"
"""Names the Python that has pyspark, where it is not that of `make spark-setup`."""
# What means something in a regular expression and nothing in a file's pattern.
_SPECIAL = r"([.^$+(){}|\\\\])"


class SparkError(CityError):
    """Spark cannot be started, or did not make a table."""


class Spark:
    """A Spark that makes one table after another, from Parquet to Parquet; started when first used.

    Attributes:
        folder: where the tables lie, those given and those made; on a cluster, one that all of it
            reaches.
        made: `layer.name` → the Parquet of what it has made.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.made: dict[str, Path] = {}
        self._process: subprocess.Popen[str] | None = None
        self._answers: IO[str] | None = None

    def __enter__(self) -> Self:
        """Nothing is started yet."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End what was started."""
        if self._process is not None and self._answers is not None:
            if self._process.stdin is not None:
                self._process.stdin.close()
            self._process.wait()
            self._answers.close()

    def given(self, name: str) -> Path:
        """Return where a table that something else made is to be written for Spark."""
        return self.folder / "given" / f"{name}.parquet"

    def make(self, name: str, text: str, given: Mapping[str, Path]) -> Path | None:
        """Make one table, and return the folder of its Parquet files; None where it has no row.

        Args:
            name: `layer.name`.
            text: one SELECT of DuckDB.
            given: `layer.name` → Parquet of each table that it reads.

        Raises:
            SparkError: if Spark does not run or does not make it. What Spark says may hold values
                (R110), so only the kind of error is told.
        """
        said = self.asked(name, in_spark(text), given)
        if said["failed"]:
            raise SparkError(
                f"{name}: Spark did not make it ({said['failed']}). Compare both engines with `make"
                " validate-spark`, or take engine: spark out of city.yaml.",
                f"{name}: Spark לא בנה את הטבלה ({said['failed']}). אפשר להסיר את engine: spark"
                " מ־city.yaml ולהריץ שוב.",
            )
        place = self.folder / "made" / name
        if not any(place.glob("*.parquet")):  # Spark writes an empty file, others write none
            return None
        self.made[name] = place
        return place

    def asked(self, name: str, text: str, given: Mapping[str, Path]) -> dict[str, str]:
        """Return the answer to one SELECT of Spark: `failed`, empty or the kind of error; `told`.

        Raises:
            SparkError: if Spark does not run.
        """
        process, answers = self._started()
        paths = {table: str(path.resolve()) for table, path in given.items()}
        line = json.dumps({"name": name, "text": text, "given": paths})
        try:
            print(line, file=process.stdin, flush=True)
            return json.loads(answers.readline())
        except (OSError, ValueError):  # it has ended
            raise SparkError(
                f"Spark ended before it made {name}: its messages stand above. A local Spark needs"
                " Java 17; SPARK_REMOTE must name a server that answers.",
                f"Spark הפסיק לפני שבנה את {name}. Spark מקומי דורש Java 17.",
            ) from None

    def _started(self) -> tuple[subprocess.Popen[str], IO[str]]:
        if self._process is None or self._answers is None:
            python = Path(os.environ.get(PYTHON) or PROJECT / ".venv-spark" / "bin" / "python")
            if not python.exists():
                raise SparkError(
                    f"engine: spark needs a Python with pyspark, and {python} is none. Run `make"
                    f" spark-setup`, or name one in {PYTHON}.",
                    f"engine: spark דורש Python עם pyspark, ו־{python} אינו קיים. יש להריץ make"
                    " spark-setup.",
                )
            (self.folder / "given").mkdir(parents=True, exist_ok=True)
            reads, writes = os.pipe()
            script = Path(__file__).with_name("on_spark.py")
            self._process = subprocess.Popen(
                [str(python), str(script), str(self.folder / "made"), str(writes)],
                stdin=subprocess.PIPE,
                cwd=self.folder,
                pass_fds=[writes],
                text=True,
            )
            os.close(writes)
            self._answers = os.fdopen(reads, encoding="utf-8")
        return self._process, self._answers


def in_spark(text: str) -> str:
    """Return one SELECT of DuckDB as Spark understands it, with the same rows.

    Whether a part is kept in memory is left to the engine.
    """
    tree = sqlglot.parse_one(text, read="duckdb").transform(_in_other_words)
    return tree.sql(dialect="spark")


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
