"""The rule that is planted in the demonstration city is found in its files, and the fair one is not
(R29).
"""

import pytest

from pipelines.demo.write import write_city
from pipelines.diagnose.criteria import STEPS
from pipelines.rehearsal import rehearse
from pipelines.settings.city import load_city
from tests.made import made


@pytest.fixture(scope="module")
def judged(tmp_path_factory):
    folder = tmp_path_factory.mktemp("criteria") / "demo_city"
    write_city(made(1), folder)
    city = load_city(folder)
    done = rehearse(city, checked=False)
    given = {name: done.table(f"SELECT * FROM core.{name}") for name in STEPS[0].reads}
    return STEPS[0].compute(city, given)


def test_amirim_overlooks_the_weak_deciles_and_the_gifted_criterion_does_not(judged):
    rows = {
        (row["criterion_id"], row["group_id"]): row
        for row in judged["mart_criterion_fairness"].iter_rows(named=True)
    }
    weak = rows["amirim", "decile_8_10"]
    assert weak["is_unfair"]
    assert weak["fairness_lo"] <= 0.7 <= weak["fairness_hi"]
    assert weak["criterion_version"] == 2
    assert not any(row["is_unfair"] for (name, _), row in rows.items() if name == "gifted")
    assert [group for (name, group), row in rows.items() if row["is_unfair"]] == ["decile_8_10"]


def test_every_field_has_a_criterion_or_a_row_that_says_none(judged):
    lint = judged["mart_criterion_lint"]
    assert lint.filter(finding_code="none")["criteria_field"].to_list() == ["social_involvement"]
    found = dict(
        lint.filter(criteria_field="excellence").select("criterion_id", "finding_code").iter_rows()
    )
    assert found["gifted"] == "unknown_measure"  # the identification test itself is no file of ours
    assert "amirim" not in found


def test_schools_methods_are_a_matrix(judged):
    methods = judged["mart_identification_method"].filter(criteria_field="excellence")
    assert methods.height == 36
    assert 0 < methods["method_entropy"][0] < 1
