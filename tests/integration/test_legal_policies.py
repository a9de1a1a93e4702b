"""A legal policy never blocks publication: every draw ends in a plan whose tables pass their
checks, or in a named conflict.

TIKKUN_POLICIES says how many draws `make validate` makes (300), TIKKUN_POLICY_SEED where they
begin.
"""

import os
from collections import Counter

import pytest

from pipelines.warehouse.database import Warehouse

from .random_policies import QUICK, READS, outcome

DRAWS = int(os.environ.get("TIKKUN_POLICIES", "300"))
FIRST = int(os.environ.get("TIKKUN_POLICY_SEED", "0"))


@pytest.fixture(scope="module")
def base(published):
    """What the steps read, as the run of the small city made it."""
    return Warehouse(path=str(published.workspace().warehouse_path)).tables(sorted(READS))


@pytest.mark.parametrize("seed", range(10))
def test_a_few_draws(seed, base, published, tmp_path):
    end = outcome(seed, base, published.raw, tmp_path, steps=QUICK, most=4)
    assert end in ("planned", "conflict", "refused")


@pytest.mark.slow
def test_every_draw_ends_in_a_plan_or_a_named_conflict(base, published, tmp_path):
    found = Counter(
        outcome(seed, base, published.raw, tmp_path / str(seed))
        for seed in range(FIRST, FIRST + DRAWS)
    )
    print(dict(found))
    assert found["planned"] > DRAWS / 10
    assert found["conflict"] > DRAWS / 10
