"""A formula is declared in YAML; what is wrong with it is said with its field, in both
languages.
"""

import polars as pl
import pytest
import yaml
from pydantic import ValidationError

from models.formula import share
from pipelines.decide.formula import formula
from pipelines.settings.city import CityError, load_city
from pipelines.settings.formula import declaration

GOOD = """
by_pupils:
  pot: {agorot: {value: 1000, unit: agorot, source: test, reason: test}}
  points: [{weights: {pupils: 1}, source: test, reason: test}]
  floors: [{agorot: 2, per: pupils, source: test, reason: test}]
  last_year: last
  guarantee_pct: {value: 90, unit: percent, source: test, reason: test}
  rounding: {method: down, unit_agorot: 100, source: test, reason: test}
"""

NO_MONEY = {
    "core_school_year": pl.DataFrame(schema={"semel_mosad": pl.String, "school_year": pl.Int32}),
    "mart_last_plan": pl.DataFrame(schema={"semel_mosad": pl.String, "last_year_agorot": pl.Int64}),
}


def declared(**changes):
    raw = yaml.safe_load(GOOD)
    raw["by_pupils"] |= changes
    return declaration.validate_python(raw)["by_pupils"]


def test_every_word_reaches_the_engine():
    engine = declared().formula()
    assert engine.columns() == ["pupils", "last"]
    assert (engine.guarantee_pct, engine.rounding.method, engine.phase_in_pct) == (90, "down", 100)
    units = pl.DataFrame({"semel_mosad": ["1", "2"], "pupils": [10, 30], "last": [500, 0]})
    found = share(engine, units, 1_000)
    assert found.amounts["amount_agorot"].to_list() == [500, 500]
    assert found.amounts["bound"].to_list() == ["guarantee", None]


@pytest.mark.parametrize(
    ("changes", "field", "message"),
    [
        ({"pot": {}}, "by_pupils.pot", "either a channel's budget or an amount"),
        ({"points": []}, "by_pupils.points", "at least 1"),
        (
            {"points": [{"weights": {"pupils": -1}, "source": "s", "reason": "r"}]},
            "by_pupils.points.0.weights.pupils",
            "greater than or equal to 0",
        ),
        (
            {"rounding": {"method": "near", "source": "s", "reason": "r"}},
            "by_pupils.rounding.method",
            "largest_remainder",
        ),
        ({"last_year": None}, "by_pupils", "last_year"),
        ({"floor": 3}, "by_pupils.floor", "not permitted"),
    ],
)
def test_an_error_has_its_field(changes, field, message):
    with pytest.raises(ValidationError, match=message) as found:
        declared(**changes)
    assert ".".join(map(str, found.value.errors()[0]["loc"])) == field


def test_a_citys_formula_errs_with_field_and_line_in_both_languages(small_city, tmp_path):
    policy = (small_city / "policy.yaml").read_text(encoding="utf-8")
    (tmp_path / "city.yaml").write_bytes((small_city / "city.yaml").read_bytes())
    broken = policy.replace("pot: {channel: municipal_own}", "pot: {channel: lottery}")
    (tmp_path / "policy.yaml").write_text(broken, encoding="utf-8")
    with pytest.raises(CityError) as found:
        load_city(tmp_path)
    line = 1 + broken[: broken.index("pot: {channel: lottery}")].count("\n")
    assert f"line {line}, column 11: formula.by_pupils.pot.channel" in found.value.en
    assert f"formula.by_pupils.pot.channel (שורה {line}, עמודה 11)" in found.value.he

    unknown = policy.replace("times: [need]", "times: [nead]")
    (tmp_path / "policy.yaml").write_text(unknown, encoding="utf-8")
    need = pl.DataFrame({"semel_mosad": ["1"], "pupils": [10], "need": [0.5]})
    with pytest.raises(CityError, match=r"formula\.by_pupils: no column nead") as found:
        formula(load_city(tmp_path), {"mart_need_index": need} | NO_MONEY)
    assert "formula.by_pupils" in found.value.he


def test_scenario_zero_of_the_city_is_the_same_money_as_before(small_city):
    """Pupils × (1 + need), the whole municipal budget, by school code."""
    city = load_city(small_city)
    need = pl.DataFrame({"semel_mosad": ["2", "1"], "pupils": [200, 300], "need": [0.5, 0.0]})
    given = formula(city, {"mart_need_index": need} | NO_MONEY)["mart_allocation_formula"]
    budget = round(100 * city.policy.channels["municipal_own"].budget.value)
    assert given.schema == {"semel_mosad": pl.String, "formula_agorot": pl.Int64}
    assert given.rows() == [("1", budget - budget // 2), ("2", budget // 2)]
