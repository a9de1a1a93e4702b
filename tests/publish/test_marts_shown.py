"""No mart is made for nobody: each is on a page, in a sheet, in a command, or read by another."""

import re
from pathlib import Path

import pytest

import pipelines
from pipelines.definitions import STEPS
from pipelines.settings.fields import dictionary
from pipelines.warehouse.sql_tables import sql_tables

HOME = Path(pipelines.__file__).parent
# Where tables reach people: pages, commands, the studio, the findings, what has drifted,
# and the program by which a stranger checks the bound.
SHOWN_IN = [
    *(HOME / "publish" / "pages").rglob("*"),
    *(HOME / "commands").glob("*.py"),
    HOME / "decide" / "studio.py",
    HOME / "decide" / "allocation.py",
    HOME / "act" / "findings.py",
    HOME / "publish" / "drift.py",
    HOME.parent / "docs" / "recheck_bound.py",
]
MARTS = [name for name in dictionary().tables if name.startswith("mart_")]


@pytest.fixture(scope="module")
def named():
    """Every mart that a page, a command, the studio or the findings name."""
    read = [path for path in SHOWN_IN if path.is_file() and path.suffix != ".pyc"]
    texts = [path.read_text(encoding="utf-8") for path in read]
    return {name for text in texts for name in re.findall(r"\bmart_\w+", text)}


@pytest.fixture(scope="module")
def read():
    """Every table that another table is made from."""
    by_steps = {name for step in STEPS for name in step.reads if name not in step.makes}
    return by_steps | {name.split(".")[1] for sql in sql_tables() for name in sql.reads}


@pytest.mark.parametrize("mart", MARTS)
def test_every_mart_has_a_reader(mart, named, read):
    assert mart in {*dictionary().sheets, *named, *read}
