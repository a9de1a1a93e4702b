"""The realised figures of the city: scores, money, absence, leaving, voices, and the truth."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from models.demo import spec

from .conftest import all_years


def _internal(city) -> pl.DataFrame:
    """Internal scores in SD of the scale, with the pupils' background."""
    pupils = all_years(city, "pupils").select("pupil_id", "school_year", "nurture_decile")
    return (
        all_years(city, "pupil_scores")
        .filter((pl.col("test_source") == "internal") & pl.col("is_tested"))
        .with_columns(z=(pl.col("score") - spec.INTERNAL_MEAN) / spec.INTERNAL_SD)
        .join(pupils, on=["pupil_id", "school_year"])
    )


def _icc(cell: pl.DataFrame) -> float:
    """Share of variance between schools, by analysis of variance."""
    schools = cell.group_by("semel_mosad").agg(
        n=pl.len(), mean=pl.col("z").mean(), ss=((pl.col("z") - pl.col("z").mean()) ** 2).sum()
    )
    n, k = len(cell), len(schools)
    size = (n - (schools["n"] ** 2).sum() / n) / (k - 1)
    within = schools["ss"].sum() / (n - k)
    between = (schools["n"] * (schools["mean"] - cell["z"].mean()) ** 2).sum() / (k - 1)
    variance = (between - within) / size
    return variance / (variance + within)


@pytest.mark.parametrize("seed", [1, 2])
def test_scores_are_calibrated(city_of, seed):
    cells = _internal(city_of("clean", seed)).partition_by("school_year", "grade", "subject")
    assert np.mean([cell["z"].std() for cell in cells]) == pytest.approx(0.97, abs=0.03)
    assert np.mean([_icc(cell) for cell in cells]) == pytest.approx(0.11, abs=0.03)
    slopes = [np.polyfit(cell["nurture_decile"], cell["z"], 1)[0] for cell in cells]
    planted = city_of("clean", seed).truth["true_cause"].filter(cause_id="socio_economic")
    assert np.mean(slopes) / planted["shift_sd"].item() == pytest.approx(0.69, abs=0.1)


@pytest.mark.parametrize("profile", ["clean", "systemic", "local", "one_subject"])
def test_weak_background_goes_with_low_scores(city_of, profile):
    city = city_of(profile)
    register = city.files["schools_2026.xlsx"].select(
        semel_mosad="סמל מוסד", nurture="מדד טיפוח", stat_area="אזור סטטיסטי"
    )
    schools = (
        _internal(city)
        .group_by("semel_mosad")
        .agg(pl.col("z").mean())
        .join(register, on="semel_mosad")
        .join(city.files["stat_areas.csv"], on="stat_area")
    )
    assert schools.select(pl.corr("nurture", "z")).item() < -0.15
    assert schools.select(pl.corr("nurture", "ses_cluster_cbs")).item() == pytest.approx(
        -0.7, abs=0.15
    )


def test_tested_share_and_coverage(clean):
    scores = all_years(clean, "pupil_scores")
    assert scores["is_tested"].mean() == pytest.approx(0.94, abs=0.01)
    assert "900032" not in set(scores["semel_mosad"])  # U03 never reports
    school_years = sum(len(clean.files[f"schools_{year}.xlsx"]) for year in clean.years)
    cells = _internal(clean).filter(pl.col("subject").is_in(["hebrew", "math"]))
    covered = cells.select("semel_mosad", "school_year", "subject").n_unique()
    assert covered / (2 * school_years) == pytest.approx(0.92, abs=0.03)
    assert 150_000 < len(scores) < 230_000


def _gaps(city) -> pl.DataFrame:
    return city.truth["true_gap"].filter(
        (pl.col("group_id") == "all") & (pl.col("school_year") == city.years[-1])
    )


def test_systemic_city_is_low_everywhere(city_of):
    gaps = _gaps(city_of("systemic")).group_by("semel_mosad").agg(pl.col("gap_internal_sd").mean())
    assert gaps["gap_internal_sd"].min() > 0.2
    assert gaps["gap_internal_sd"].mean() > 0.4


def test_local_city_has_three_low_schools(city_of):
    gaps = _gaps(city_of("local")).group_by("semel_mosad").agg(pl.col("gap_internal_sd").mean())
    lowest = gaps.sort("gap_internal_sd", descending=True)
    assert set(lowest["semel_mosad"][:3]) == {"900011", "900020", "900031"}
    assert lowest["gap_internal_sd"][2] > 0.5
    assert lowest["gap_internal_sd"][3:].median() < 0.1


def test_one_subject_city_is_low_in_mathematics_alone(city_of):
    means = dict(
        _gaps(city_of("one_subject"))
        .group_by("subject")
        .agg(pl.col("gap_internal_sd").mean())
        .rows()
    )
    assert means.pop("math") > 0.5
    assert max(means.values()) < 0.05


def test_null_city_has_no_gaps_and_no_effects(city_of):
    city = city_of("null")
    assert (city.truth["true_effect"]["effect_sd"] == 0).all()
    lasting = city.truth["true_component"].filter(
        pl.col("component").is_in(["school", "school_subject", "planted"])
    )
    assert (lasting["value_sd"] == 0).all()
    assert city.truth["true_cause"].is_empty()
    assert _gaps(city)["gap_reference_sd"].abs().max() < 0.4


def test_true_gap_is_what_tests_measure(clean):
    """A school's observed mean differs from its true one by sampling alone."""
    observed = (
        _internal(clean)
        .filter(pl.col("school_year") == 2026)
        .group_by("semel_mosad", "subject", "grade")
        .agg(pl.col("z").mean(), n=pl.len())
    )
    truth = clean.truth["true_gap_grade"].filter(
        (pl.col("group_id") == "all") & (pl.col("school_year") == 2026)
    )
    both = observed.join(truth, on=["semel_mosad", "subject", "grade"])
    assert len(both) == len(observed)
    error = (both["z"] - both["true_mean_sd"]) * both["n"].sqrt()
    assert error.std() == pytest.approx(spec.SD_TEST, abs=0.1)
    # Pupils who miss tests are weaker on average: tests flatter the school a little.
    assert -0.01 < (both["z"] - both["true_mean_sd"]).mean() < 0.05


def test_lottery_and_threshold_places(clean):
    participation = all_years(clean, "participation")
    mechanisms = participation.group_by("semel_mosad", "response_id").agg(
        pl.col("assignment_mechanism").unique()
    )
    found = {(code, response): set(kinds) for code, response, kinds in mechanisms.rows()}
    for response, label in spec.LOTTERIES:
        code = {"S14": "900014", "R08": "900025"}[label]
        assert found[code, response] == {"lottery"}
    truth = clean.truth["true_assignment"].filter(pl.col("cutoff").is_not_null())
    assert set(truth["semel_mosad"]) == {"900010"}
    scores = all_years(clean, "pupil_scores").filter(
        pl.col("is_tested")
        & (pl.col("test_source") == "internal")
        & pl.col("subject").is_in(["hebrew", "math"])
    )
    for row in truth.iter_rows(named=True):
        year = row["school_year"]
        last = (
            scores.filter(pl.col("school_year") == year - 1)
            .group_by("pupil_id")
            .agg(pl.col("score").mean())
        )
        pupils = clean.files[f"pupils_{year}.csv"].filter(pl.col("semel_mosad") == "900010")
        listed = clean.files[f"participation_{year}.csv"].filter(
            (pl.col("semel_mosad") == "900010") & (pl.col("response_id") == "milat")
        )
        chosen = listed.filter("is_invited")
        assert (listed["selection_score"] <= row["cutoff"] + 1e-4).to_list() == listed[
            "is_invited"
        ].to_list()
        admitted = pupils.join(last, on="pupil_id").filter(pl.col("score") <= row["cutoff"])
        assert set(admitted["pupil_id"]) == set(chosen["pupil_id"])
        assert set(chosen["assignment_mechanism"]) == {"threshold"}


def test_some_decline_the_place_a_lottery_or_threshold_offers_and_nobody_comes_unasked(clean):
    listed = all_years(clean, "participation")
    assert listed.filter(pl.col("dose") > 0, ~pl.col("is_invited")).is_empty()
    declined = listed.filter(pl.col("dose") == 0, "is_invited")
    assert set(declined["assignment_mechanism"]) == {"lottery", "threshold"}
    offered = listed.filter(
        "is_invited", pl.col("assignment_mechanism").is_in(["lottery", "threshold"])
    )
    assert declined.height / offered.height == pytest.approx(spec.DECLINED, abs=0.03)


def test_lottery_is_blind_and_its_effect_is_there(city_of):
    """Over ten cities: winners of the POSH lottery score higher by about the planted effect."""
    differences, planted = [], []
    for seed in range(1, 11):
        city = city_of("small", seed)
        effect = city.truth["true_effect"].filter(response_id="posh", subject="math")
        planted.append(effect["effect_sd"].mean())
        chosen = all_years(city, "participation").filter(
            pl.col("dose") > 0,
            (pl.col("response_id") == "posh") & (pl.col("assignment_mechanism") == "lottery"),
        )
        delivered = chosen.select("semel_mosad", "school_year").unique()
        scores = (
            _internal(city)
            .filter(pl.col("subject") == "math")
            .join(delivered, on=["semel_mosad", "school_year"])
            .join(
                chosen.select("pupil_id", "school_year", "dose"),
                on=["pupil_id", "school_year"],
                how="left",
            )
        )
        centred = scores.with_columns(
            z=pl.col("z") - pl.col("z").mean().over("semel_mosad", "school_year", "grade"),
            d=pl.col("dose").fill_null(0)
            - pl.col("dose").fill_null(0).mean().over("semel_mosad", "school_year", "grade"),
        )
        differences.append((centred["z"] * centred["d"]).sum() / (centred["d"] ** 2).sum())
    error = np.std(differences, ddof=1) / np.sqrt(len(differences))
    assert np.mean(differences) == pytest.approx(np.mean(planted), abs=3 * error)
    assert np.mean(differences) > 2 * error


def test_chosen_pupils_are_weaker(clean):
    scores = _internal(clean).filter(pl.col("school_year") == 2025)
    means = scores.group_by("pupil_id").agg(pl.col("z").mean())
    chosen = clean.files["participation_2026.csv"].filter(
        pl.col("dose") > 0,
        pl.col("assignment_mechanism").is_in(["need_based", "teacher_choice"])
        & ~pl.col("response_id").is_in(["amirim", "hebrew_immigrants"]),
    )
    inside = means.join(chosen, on="pupil_id", how="semi")["z"].mean()
    assert inside < means["z"].mean() - 0.3


def test_delivery_agrees_with_participation_and_budget(clean):
    key = ["semel_mosad", "school_year", "response_id"]
    delivery = all_years(clean, "delivery")
    takes_part = all_years(clean, "participation").filter(pl.col("dose") > 0)
    counted = takes_part.group_by(key).agg(counted=pl.len())
    both = delivery.join(counted, on=key, how="full", coalesce=True)
    targeted = both.filter(pl.col("counted").is_not_null())
    assert (targeted["participants"] == targeted["counted"]).all()
    assert set(both.filter(pl.col("counted").is_null())["assignment_mechanism"]) == {"school_wide"}
    assert (delivery["participants"] <= delivery["eligible_pupils"]).all()
    budget = all_years(clean, "budget").group_by(key).agg(pl.col("plan_nis").sum())
    costs = {r.response_id: (r.fixed_nis, r.unit_nis) for r in spec.RESPONSES if r.has_money}
    for row in budget.join(delivery, on=key).iter_rows(named=True):
        fixed, unit = costs[row["response_id"]]
        assert row["plan_nis"] == fixed + unit * row["participants"]


def test_money_is_of_the_right_order(clean):
    budget = clean.files["budget_2026.csv"]
    own = budget.filter(pl.col("funding_channel") == "municipal_own")
    assert float(own["plan_nis"].sum()) == pytest.approx(8.9e6, rel=0.05)
    assert float(own["actual_nis"].sum()) == pytest.approx(8.9e6, rel=0.05)
    assert float(budget["plan_nis"].sum()) == pytest.approx(19.4e6, rel=0.05)


def test_absence_leaving_and_informal_activity(clean):
    attendance = all_years(clean, "attendance")
    assert (attendance["absence_days_justified"] <= attendance["absence_days"]).all()
    chronic = (attendance["absence_days"] * 10 >= attendance["school_days"]).mean()
    assert chronic == pytest.approx(0.10, abs=0.025)
    dropouts = all_years(clean, "exits").filter(pl.col("destination") == "unknown")
    assert len(dropouts) / len(clean.years) == pytest.approx(35, abs=8)
    pupils = len(clean.files["pupils_2026.csv"])
    active = clean.files["informal_2026.csv"]["pupil_id"].n_unique()
    assert active / pupils == pytest.approx(0.46, abs=0.02)


def test_climate_response_rates(clean):
    climate = all_years(clean, "climate")
    rate = climate["respondents"].sum() / climate["eligible_pupils"].sum()
    assert rate == pytest.approx(0.85, abs=0.03)
    low = climate.filter(pl.col("semel_mosad") == "900035")
    assert low["respondents"].sum() / low["eligible_pupils"].sum() == pytest.approx(0.31, abs=0.1)


def test_planted_causes_leave_their_sign(clean):
    pupils = clean.files["pupils_2026.csv"]
    online = dict(pupils.group_by("semel_mosad").agg(pl.col("has_home_internet").mean()).rows())
    assert min(online, key=online.__getitem__) == "900016"
    days = dict(
        all_years(clean, "attendance")
        .group_by("semel_mosad")
        .agg(pl.col("absence_days").mean())
        .rows()
    )
    assert sorted(days, key=days.__getitem__).index("900027") >= len(days) - 3
    immigrants = pupils.filter(pl.col("years_in_israel") <= 10)
    in_school = immigrants.filter(pl.col("semel_mosad") == "900014")
    recent = [(frame["years_in_israel"] <= 2).mean() for frame in (in_school, immigrants)]
    assert recent[0] > 1.3 * recent[1]
    assert len(clean.truth["true_cause"]) == 7


def test_planted_opinions(clean):
    level = pl.col("rating").replace_strict({r: i + 1 for i, r in enumerate(spec.RATING_LEVELS)})
    means = dict(clean.files["ratings.csv"].group_by("response_id").agg(level.mean()).rows())
    assert means["makom_balev"] == pytest.approx(2.7, abs=0.05)
    assert means["posh"] == pytest.approx(1.6, abs=0.05)
    assert max(means, key=means.__getitem__) == "makom_balev"
    assert clean.files["ratings.csv"]["participant"].n_unique() == 14


def test_excerpts_agree_contradict_or_stay_silent(clean):
    excerpts = clean.files["excerpts.csv"]
    assert len(excerpts) == 260
    assert excerpts["theme"].n_unique() == 8
    assert excerpts["semel_mosad"].n_unique() == 36
    assert (~excerpts["has_consent"]).sum() == 13
    stances = dict(clean.truth["true_voice"]["stance"].value_counts().rows())
    assert stances == {"agree": 156, "contradict": 52, "silent": 52}


def test_truth_answers(clean):
    need = clean.truth["true_need"]
    assert need["rank"].to_list() == list(range(1, 37))
    assert need["tier"].value_counts().sort("tier").rows() == [(t, 9) for t in "ABCD"]
    assert need["need_sd"].is_sorted(descending=True)
    assert len(clean.truth["true_unmet_need"]) == 19
    overlap = {(a, b): n for a, b, n, _ in clean.truth["true_overlap"].rows()}
    assert overlap["milat", "merchav"] == overlap["milat", "rvadim"] == 3
    assert overlap["merchav", "rvadim"] == 2
    effects = clean.truth["true_effect"]
    assert (effects.filter(pl.col("response_id") == "makom_balev")["effect_sd"] == 0).all()
    milat = effects.filter((pl.col("response_id") == "milat") & (pl.col("subject") == "math"))
    weak = clean.truth["true_coefficient"].filter(coefficient="weak_factor", of="milat")["value"]
    assert milat["effect_weak_sd"].to_list() == pytest.approx(milat["effect_sd"] * weak.item())


def test_every_city_has_its_own_effects_causes_and_fading(city_of):
    cities = [city_of("small", seed).truth for seed in range(1, 5)]
    for name, column in (
        ("true_coefficient", "value"),
        ("true_cause", "shift_sd"),
        ("true_effect", "effect_sd"),
    ):
        first, *others = (truth[name].filter(pl.col(column) != 0)[column] for truth in cities)
        assert all((first != other).all() for other in others), name
