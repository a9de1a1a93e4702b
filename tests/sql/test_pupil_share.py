"""What is hidden in `mart_pupil_share` follows from nothing that is shown."""

import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.publish.suppression import Thresholds, suppress
from tests.examples import examples
from tests.sql.test_golden import run

FEW = 5
YEAR = {"school_year": 2026}


def published(schools):
    """Return the chronic absence told of schools and of two groups, given (cases, others) of each
    group in each.
    """
    pupils, days, members = [], [], []
    for code, groups in enumerate(schools):
        for group, counts in zip(("boys", "girls"), groups, strict=True):
            for is_case, count in zip((True, False), counts, strict=True):
                for number in range(count):
                    name = {"pupil_hash": f"{code}{group}{is_case}{number}"} | YEAR
                    pupils.append(name | {"semel_mosad": str(code)})
                    days.append(
                        name
                        | {"semel_mosad": str(code), "school_days": 100}
                        | {"absence_days": 20 if is_case else 0}
                    )
                    members.append(name | {"group_id": group})
    codes = [str(code) for code in range(len(schools))]
    found = run(
        "mart_pupil_share",
        {
            "core_school_code": [{"semel_mosad_old": code, "semel_mosad": code} for code in codes],
            "core_school": [{"semel_mosad": code, "is_in_plan": True} for code in codes],
            "core_group": [
                {"group_id": name, "group_dimension": "sex"} for name in ("boys", "girls")
            ],
            "core_pupil_group": members,
            "stg_register__pupils": pupils,
            "stg_attendance__pupil_years": days,
        },
    )
    groups = pl.DataFrame({"group_id": ["boys", "girls"], "group_dimension": ["sex"] * 2})
    tables = {"mart_pupil_share": found.filter(share_id="chronic_absence"), "mart_group": groups}
    return suppress(tables, "committee", Thresholds(10, FEW))["mart_pupil_share"]


def told(found):
    """Return place and group → (cases, others), of the rows that are shown."""
    return {
        (row["place"], row["group_id"]): (row["case_pupils"], row["pupils"] - row["case_pupils"])
        for row in found.iter_rows(named=True)
        if row["case_pupils"] is not None and row["pupils"] is not None
    }


def test_one_small_school_takes_the_next_with_it():
    shown = told(published([((1, 20), (2, 20)), ((4, 20), (5, 20)), ((10, 20), (10, 20))]))
    assert shown[("city", "all")] == (32, 120)
    assert {place for place, _ in shown} == {"2", "city"}


def test_where_nothing_is_small_everything_is_told():
    shown = told(published([((6, 20), (7, 20)), ((8, 20), (5, 20))]))
    assert len(shown) == 5
    assert shown[("city", "girls")] == (12, 40)


cells = st.tuples(st.integers(0, 8), st.integers(0, 8))


@settings(max_examples=examples(30))
@given(st.lists(st.tuples(cells, cells), min_size=1, max_size=4))
def test_no_small_number_follows_from_sums_and_differences(schools):
    schools = [one for one in schools if sum(map(sum, one))]
    if not schools:
        return
    shown = told(published(schools))
    whole = shown.get(("city", "all"))
    for counts in shown.values():
        assert all(count == 0 or count >= FEW for count in counts)
    if whole is None:
        return
    for group in ("boys", "girls"):
        if own := shown.get(("city", group)):
            rest = [all_ - one for all_, one in zip(whole, own, strict=True)]
            assert all(count == 0 or count >= FEW for count in rest)
    hidden = [code for code in range(len(schools)) if (str(code), "all") not in shown]
    assert len(hidden) != 1  # one hidden school would be the total less all others
