"""Three real laws from their declarations, each against a case reckoned by hand from its text."""

from pathlib import Path

import polars as pl
import pytest

from models.formula import apply
from pipelines.decide.declared_formula import declared, shared
from pipelines.settings.city import CityError
from pipelines.settings.formula import engines

HERE = Path(__file__).parent


def results(law, units, key="unit"):
    parts = engines(declared(HERE / f"{law}.yaml"))
    return {found.part.name: found for found in apply(parts, units, {}, key=key)}


def values(found):
    return [float(value) for value in found.values]


def test_chile_by_hand():
    """100 priority pupils up to 4th, 40 in 5th-6th, 20 in 7th-8th, at 21,000 pesos a USE.

    Autonomous: (1.694·140 + 1.129·20)·21,000 = (237.16 + 22.58)·21,000 = 5,454,540. At 60 % exactly
    the highest step: (.302·140 + .202·20)·21,000 = (42.28 + 4.04)·21,000 = 972,720. Emerging: half
    of the first, and at 59.9 % the step below: (.269·140 + .179·20)·21,000 = 866,040. At 14 % none.
    """
    units = pl.DataFrame(
        {
            "unit": ["a", "b", "c"],
            "category": ["autonomous", "emerging", "autonomous"],
            "priority_to_4": [100, 100, 100],
            "priority_5_6": [40, 40, 40],
            "priority_7_8": [20, 20, 20],
            "priority_upper": [0, 0, 0],
            "priority_share": [0.60, 0.599, 0.14],
            "use_value": [21_000] * 3,
        }
    )
    found = results("chile_sep_2012", units)
    assert values(found["preferential"]) == [5_454_540, 2_727_270, 5_454_540]
    assert values(found["concentration"]) == [972_720, 866_040, 0]
    assert found["concentration"].left == 0


def test_chile_without_a_category_is_refused():
    units = pl.DataFrame({"unit": ["a"], "category": ["closed"], "use_value": [1]})
    units = units.with_columns(
        pl.lit(1).alias(name)
        for name in ("priority_to_4", "priority_5_6", "priority_7_8", "priority_upper")
    ).with_columns(priority_share=pl.lit(0.5))
    path = HERE / "chile_sep_2012.yaml"
    with pytest.raises(CityError, match=r"line \d+, column \d+: preferential.*none of") as caught:
        shared(path, declared(path), units, "unit", None)
    assert "category אינו אחד מאלה" in caught.value.he


def districts():
    return pl.DataFrame(
        {
            "unit": ["poor", "rich"],
            "elementary": [500, 400],
            "middle": [250, 200],
            "high": [250, 200],
            "at_risk": [400, 40],
            "bilingual": [50, 0],
            "at_risk_and_bilingual": [100, 0],
            "at_risk_share": [0.5, 0.05],
            "special_education_cost": [100_000_000, 80_000_000],
            "geographic_cost": [1.0, 1.02],
            "equalized_valuation": [20_000_000_000, 180_000_000_000],
            "district_income": [5_000_000_000, 45_000_000_000],
            "statewide_share": [0, 2_000_000_000],
            "last_year_aid": [700_000_000, 10_000_000],
            "spends_above_adequacy": [False, True],
        }
    )


def test_new_jersey_by_hand():
    """At a half at-risk the weight is .47 + .3·.25 = .545; a twentieth has the least.

    Poor: 500 + 260 + 292.5 + .545·400 + 25 + .67·100 = 1,362.5 weighted pupils; their budget is
    1,362.5·964,900 + 100,000,000 = 1,414,676,250 cents. Rich: 400 + 208 + 234 + 18.8 = 860.8;
    (860.8·964,900 + 80,000,000)·1.02 = 928,797,638 cents.
    Half of 2,000,000,000 is raised at 1 % of 200 bn valuation, half at 4 % of 50 bn income: the
    poor district can pay 10 % of both, 200,000,000, the rich one 1,800,000,000.
    The poor one's aid is 1,214,676,250, cut to 120 % of last year: 840,000,000; the rich one has
    none by formula, but 102 % of last year: 10,200,000.
    """
    found = results("new_jersey_2008", districts())
    assert values(found["weighted_pupils"]) == [1362.5, 860.8]
    assert values(found["adequacy_budget"]) == [1_414_676_250, 928_797_638]
    assert [float(found[rate].level) for rate in ("property_rate", "income_rate")] == [0.01, 0.04]
    assert values(found["local_share"]) == [200_000_000, 1_800_000_000]
    assert values(found["equalization_aid"]) == [1_214_676_250, 0]
    assert found["state_aid"].units["amount_agorot"].to_list() == [840_000_000, 10_200_000]


def test_a_rate_that_no_last_step_reaches_leaves_the_rest_told():
    """Of 2,000,000,001 the halves raise 1,000,000,000 at the last step that is not above it."""
    units = districts().with_columns(statewide_share=pl.Series([0, 2_000_000_007]))
    found = results("new_jersey_2008", units)["property_rate"]
    step = 100_000_000_000 / 10**10
    assert 0 <= float(found.left) < step
    assert float(found.left) == pytest.approx(3.5)


def schools(**changes):
    rows = {
        "unit": ["a village", "b town"],
        "phase": ["primary", "secondary"],
        "primary": [84, 0],
        "key_stage_3": [0, 600],
        "key_stage_4": [0, 400],
        "free_meals": [10, 0],
        "free_meals_6_years": [12, 0],
        "english_additional": [0, 0],
        "low_prior_attainment": [20, 0],
        "mobile": [10, 30],
        "year_group": [12.0, 200.0],
        "miles_to_next": [1.8, 5.0],
        "area_cost": [1.0, 1.05],
        "baseline_per_pupil": pl.Series([None, 700_000], dtype=pl.Int64),
    }
    return pl.DataFrame(rows | changes)


def test_england_by_hand():
    """Village: 84·3,562 = 299,208 pounds. Needs: 4,900 + 9,840 + 20·1,170 = 38,140, and mobile
    pupils above 5.04 of 84: 4.96·960 = 4,761.60. Sparsity: (21.4 − 12)/10.7 · (1.8 − 1.6)/.4 = .439
    times 57,100 = 25,081.31 (rounded), beside 134,400. In all 501,590.91: above 84·4,610.
    Town: (600·5,022 + 400·5,661)·1.05 + 141,120 = 5,682,600; the minimum is 5,995,000,
    so 312,400 more. It had 7,000 a pupil without lump sum: 7,035,000 less 5,853,880 is the floor.
    """
    found = results("england_nff_2024", schools())
    assert values(found["formula_funding"]) == [50_159_091, 568_260_000]
    assert values(found["minimum_per_pupil"]) == [0, 31_240_000]
    assert values(found["funding_floor"]) == [0, 703_500_000 - 585_388_000]
    assert abs(found["formula_funding"].left) < 1  # of a penny, told


def test_a_school_that_loses_a_pupil_s_need_never_gains_by_it():
    """More need never less money: more of each need, one by one."""
    before = values(results("england_nff_2024", schools())["formula_funding"])
    for need in ("free_meals", "free_meals_6_years", "english_additional", "low_prior_attainment"):
        more = schools(**{need: [30, 30]})
        after = values(results("england_nff_2024", more)["formula_funding"])
        assert all(now >= then for now, then in zip(after, before, strict=True))
