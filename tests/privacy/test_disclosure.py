"""What readers of several tables, scopes and nights could find out of made-up counts."""

from dataclasses import replace

import polars as pl
import pytest

from pipelines.publish.disclosure import left_beside, read, round_off
from pipelines.publish.suppression import (
    PrivacyError,
    Thresholds,
    gate,
    intrude,
    protect_counts,
    suppress,
)

LIMITS = Thresholds(mean_pupils=10, count_pupils=5)
YEARS = (2024, 2025, 2026)


def city(scope):
    return pl.DataFrame({"scope": [scope], "window_first_year": [2024], "window_last_year": [2026]})


def dropout(counts, scope="all", pupils=200):
    """mart_pupil_share of one share: school → count of each year; and its whole by scope."""
    rows = [
        (school, year, pupils, count)
        for school, years in counts.items()
        for year, count in zip(YEARS, years, strict=True)
    ]
    rows += [
        ("city", year, pupils * len(counts), sum(years[n] for years in counts.values()))
        for n, year in enumerate(YEARS)
    ]
    shares = pl.DataFrame(rows, ["place", "school_year", "pupils", "case_pupils"], orient="row")
    return {
        "mart_city": city(scope),
        "mart_group": pl.DataFrame(schema={"group_id": pl.String, "group_dimension": pl.String}),
        "mart_pupil_share": shares.with_columns(
            share_id=pl.lit("overt_dropout"),
            group_id=pl.lit("all"),
            share_pct=100 * pl.col("case_pupils") / pl.col("pupils"),
            share_lo_pct=pl.lit(0.0),
            share_hi_pct=pl.lit(9.0),
        ),
    }


def shown_counts(tables):
    rows = tables["mart_pupil_share"].select("place", "school_year", "case_pupils")
    return {(place, year): count for place, year, count in rows.iter_rows()}


def released(tables, before=()):
    """What an audience gets, after the intruder has failed."""
    shown = suppress(tables, "analyst", LIMITS, protect_counts(tables, LIMITS, before))
    intrude(read(tables, shown), LIMITS, before)
    return shown


def test_a_small_count_is_hidden_with_another_and_never_the_total():
    counts = {"a": (3, 9, 9), "b": (12, 9, 9), "c": (20, 9, 9)}
    found = shown_counts(released(dropout(counts)))
    assert found["a", 2024] is None
    assert sum(found[place, 2024] is None for place in "bc") == 1
    assert {found[place, year] for place in "abc" for year in (2025, 2026)} == {9}
    assert found["city", 2024] == 35


def test_a_zero_is_told_and_who_is_not_of_a_part_is_hidden_as_the_part_is():
    counts = {"a": (0, 198, 9), "b": (12, 9, 9), "c": (20, 9, 9)}
    found = shown_counts(released(dropout(counts)))
    assert found["a", 2024] == 0
    assert found["a", 2025] is None, "all but two of 200"


def indicator(counts, pupils=200):
    """mart_need_indicator: the three years together, at full precision."""
    n = 3 * pupils
    return pl.DataFrame(
        [("overt_dropout", school, 100 * sum(years) / n, n) for school, years in counts.items()],
        ["indicator_id", "semel_mosad", "indicator_value", "indicator_n"],
        orient="row",
    ).with_columns(
        unit=pl.lit("percent of pupils"),
        indicator_need=pl.lit(0.234567),
        indicator_need_se=pl.lit(0.04321),
        p_need=pl.lit(0.91234),
    )


def test_a_share_of_all_years_does_not_give_back_the_hidden_one():
    counts = {"a": (3, 9, 11), "b": (12, 9, 9), "c": (20, 9, 9)}
    tables = dropout(counts) | {"mart_need_indicator": indicator(counts)}
    with pytest.raises(PrivacyError, match="share_cases"):
        intrude(read(tables, tables | released(dropout(counts))), LIMITS)
    shown = released(tables)
    value = shown["mart_need_indicator"].filter(semel_mosad="a")["indicator_value"].item()
    if value is not None:
        fits = [x for x in range(1, 600) if abs(100 * (x + 20) / 600 - value) <= 0.5 + 1e-9]
        assert max(fits) - min(fits) >= 3


def test_two_scopes_are_one_release():
    """The official schools alone, beside all schools: the rest is one small school."""
    every = {"a": (6, 9, 9), "b": (7, 9, 9), "c": (3, 9, 9)}
    official = {name: every[name] for name in "ab"}
    first = released(dropout(every))
    alone = shown_counts(released(dropout(official, "official")))
    assert None not in alone.values(), "by themselves the official schools have nothing to hide"
    told = read(first)
    with pytest.raises(PrivacyError, match="share_cases"):
        intrude(read(dropout(official, "official")), LIMITS, [told])
    beside = shown_counts(released(dropout(official, "official"), [told]))
    known = shown_counts(first)

    def fits(value):
        """Whether c could have so many, by the sums of both releases."""
        whole = known["city", 2024]
        parts = [x for x in (known["a", 2024], known["b", 2024]) if x is not None]
        parts += [
            beside[name, 2024] for name in "ab" if known[name, 2024] is None and beside[name, 2024]
        ]
        missing = 2 - len(parts)
        if beside["city", 2024] is not None:
            return value == whole - beside["city", 2024]
        return value + sum(parts) == whole if not missing else value + sum(parts) < whole

    assert sum(map(fits, range(1, 5))) == 4


def test_the_schools_of_a_stream_are_what_is_told_of_the_stream():
    """Six in all of b and c are told of their stream, so that c alone must not stand for a."""
    counts = {"a": (3, 9, 9), "b": (12, 9, 9), "c": (11, 9, 9), "d": (40, 9, 9)}
    streams = {"a": "state", "b": "state", "c": "religious", "d": "religious"}
    tables = dropout(counts)
    school = tables["mart_pupil_share"]
    of_stream = [
        school.filter(pl.col("place").is_in([p for p, s in streams.items() if s == stream]))
        .group_by("school_year", "share_id", "share_pct", "share_lo_pct", "share_hi_pct")
        .agg(pl.col("pupils", "case_pupils").sum())
        .group_by("school_year", "share_id")
        .agg(
            pl.col("pupils", "case_pupils").sum(),
            pl.col("share_pct", "share_lo_pct", "share_hi_pct").first(),
        )
        .with_columns(place=pl.lit("city"), group_id=pl.lit(stream))
        .select(school.columns)
        for stream in ("state", "religious")
    ]
    tables |= {
        "mart_pupil_share": pl.concat([school, *of_stream]),
        "mart_group": pl.DataFrame(STREAMS, ["group_id", "group_dimension"], orient="row"),
        "mart_need_index": pl.DataFrame(
            list(streams.items()), ["semel_mosad", "stream"], orient="row"
        ),
    }
    shown = released(tables)["mart_pupil_share"].filter(school_year=2024)
    found = {(row["place"], row["group_id"]): row["case_pupils"] for row in shown.to_dicts()}
    assert found["a", "all"] is None
    assert None in (found["b", "all"], found["city", "state"])
    assert found["city", "all"] == 66


def test_a_stream_that_the_city_calls_otherwise_is_known_by_its_schools():
    tables = dropout({"a": (3, 9, 9), "b": (12, 9, 9), "c": (11, 9, 9), "d": (40, 9, 9)})
    school = tables["mart_pupil_share"]
    kept = school.filter(pl.col("place").is_in(["a", "b"]))
    ours = (
        kept.group_by("school_year", "share_id", "share_lo_pct", "share_hi_pct")
        .agg(pl.col("pupils", "case_pupils").sum(), pl.col("share_pct").first())
        .with_columns(place=pl.lit("city"), group_id=pl.lit("our_state_schools"))
        .select(school.columns)
    )
    streams = [("a", "state"), ("b", "state"), ("c", "religious"), ("d", "religious")]
    told = read(
        tables
        | {
            "mart_pupil_share": pl.concat([school, ours]),
            "mart_group": pl.DataFrame(
                [("our_state_schools", "stream")], ["group_id", "group_dimension"], orient="row"
            ),
            "mart_need_index": pl.DataFrame(streams, ["semel_mosad", "stream"], orient="row"),
        }
    )
    sums = [parts for whole, parts in told.sums if "our_state_schools" in whole]
    assert len(sums) == 2 * len(YEARS), "cases and pupils of each year"
    assert all(len(parts) == 2 and "place=a" in parts[0] for parts in sums)


def test_a_share_of_some_years_of_last_night_does_not_tell_a_year_as_it_was():
    """Twenty of three years as a band of last night, and today's counts of the other years."""
    others = {"b": (12, 9, 9), "c": (20, 9, 9)}
    then = dropout({"a": (2, 9, 11)} | others)
    first = read(released(then | {"mart_need_indicator": indicator({"a": (2, 9, 11)} | others)}))
    share = next(s for s in first.shares if "place=a" in s[1])
    assert share[3] * 6 < 22 < share[4] * 6
    now = dropout({"a": (30, 9, 11)} | others)
    whole, least, most = share[1], round(share[3] * 6), round(share[4] * 6)
    narrow = replace(first, shares=((*share[:3], 21 / 6, 22.9 / 6),))
    assert whole in first.cells
    assert most - least > 2
    with pytest.raises(PrivacyError, match="share_cases"):
        intrude(read(now), LIMITS, [narrow])


def test_another_choice_the_next_night_would_tell():
    counts = {"a": (3, 9, 9), "b": (12, 9, 9), "c": (13, 9, 9)}
    tables = dropout(counts)
    first = released(tables)
    hidden = [place for place in "bc" if shown_counts(first)[place, 2024] is None]
    assert len(hidden) == 1
    told = read(first)
    assert shown_counts(released(tables, [told])) == shown_counts(first)
    # One night hid b, the next would hide c: together they tell a.
    other = {"b": "c", "c": "b"}[hidden[0]]
    swapped = tables | {
        "mart_pupil_share": tables["mart_pupil_share"].with_columns(
            case_pupils=pl.when(
                pl.col("place").is_in(["a", other]) & (pl.col("school_year") == 2024)
            )
            .then(None)
            .otherwise("case_pupils")
        )
    }
    with pytest.raises(PrivacyError, match="share_cases"):
        intrude(read(tables, swapped), LIMITS, [told])


def test_a_count_that_is_no_longer_few_does_not_tell_how_few_it_was():
    """Three left a, now seven: yesterday's sum less today's others is three."""
    others = {"b": (12, 9, 9), "c": (20, 9, 9)}
    first = read(released(dropout({"a": (3, 9, 9)} | others)))
    hidden = [name for name, cell in first.cells.items() if cell.is_in_tables and not cell.is_told]
    assert len(hidden) == 2
    now = dropout({"a": (7, 9, 9)} | others)
    with pytest.raises(PrivacyError, match="share_cases"):
        intrude(read(now), LIMITS, [first])
    shown = shown_counts(released(now, [first]))
    other = next(place for place in "bc" if f"place={place} school_year=2024" in " ".join(hidden))
    assert shown[other, 2024] is None
    assert shown["city", 2024] == 39


def test_what_was_given_away_is_told_and_does_not_block():
    tables = dropout({"a": (3, 9, 9), "b": (12, 9, 9), "c": (20, 9, 9)})
    shown = released(tables, [read(tables)])
    assert shown_counts(shown)["a", 2024] is None
    row = shown["mart_suppressed"].filter(suppression_reason="known_anyway").row(0, named=True)
    assert row["suppressed_cells"] >= 1


def test_groups_of_one_dimension_make_the_whole_and_others_leave_a_rest():
    rows = [
        ("all", 40, 20),
        ("girls", 19, 17),
        ("boys", 21, 3),
        ("gifted", 38, 19),
    ]
    table = pl.DataFrame(rows, ["group_id", "group_pupils", "participants"], orient="row")
    groups = [("girls", "sex"), ("boys", "sex"), ("gifted", "gifted")]
    tables = {
        "mart_city": city("all"),
        "mart_group": pl.DataFrame(groups, ["group_id", "group_dimension"], orient="row"),
        "mart_response_group": table.with_columns(
            semel_mosad=pl.lit("a"), response_id=pl.lit("r"), dose=pl.lit(1.0)
        ),
    }
    shown = released(tables)["mart_response_group"]
    found = {row[0]: row[1:] for row in shown.select(table.columns).iter_rows()}
    assert found["all"][0] == 40, "everybody knows the size of a school"
    assert found["boys"][1] is None
    assert found["girls"][1] is None, "all less the girls are the boys"
    assert found["gifted"][0] is None, "all less the gifted are two"


STREAMS = [("state", "stream"), ("religious", "stream"), ("other", "stream"), ("weak", "nurture")]


def identified(scope, **streams):
    """mart_criterion_fairness: group → how many of its 300 pupils one criterion identified."""
    weak = sum(streams.values()) - 1
    rows = [("all", sum(streams.values())), *streams.items(), ("weak", weak)]
    return {
        "mart_city": city(scope),
        "mart_group": pl.DataFrame(STREAMS, ["group_id", "group_dimension"], orient="row"),
        "mart_criterion_fairness": pl.DataFrame(
            rows, ["group_id", "identified_pupils"], orient="row"
        ).with_columns(
            pupils=pl.when(pl.col("group_id") == "all").then(900).otherwise(300),
            criterion_id=pl.lit("gifted"),
            criterion_version=1,
            identified_pct=pl.lit(1.0),
            identified_lo_pct=pl.lit(0.5),
            identified_hi_pct=pl.lit(2.0),
            fairness_ratio=pl.lit(0.8),
            fairness_lo=pl.lit(0.5),
            fairness_hi=pl.lit(1.2),
        ),
    }


def identified_shown(tables):
    rows = tables["mart_criterion_fairness"]
    assert rows.filter(pl.col("identified_pupils").is_null())["fairness_ratio"].is_null().all()
    return dict(rows.select("group_id", "identified_pupils").iter_rows())


def test_the_gifted_of_a_stream_are_not_all_less_the_other_streams():
    every = released(identified("all", state=36, religious=10, other=2))
    shown = identified_shown(every)
    assert (shown["all"], shown["state"]) == (48, 36)
    assert (shown["other"], shown["religious"]) == (None, None)
    assert shown["weak"] is None, "all but one are of weak families"
    # The official schools alone have nothing to hide; beside all schools they tell the third.
    official = identified("official", state=36, religious=10)
    assert identified_shown(released(official))["religious"] == 10
    with pytest.raises(PrivacyError, match="identified"):
        intrude(read(official), LIMITS, [read(every)])
    beside = identified_shown(released(official, [read(every)]))
    assert None in (beside["religious"], beside["all"])


def test_a_grade_that_moves_up_does_not_tell_who_did_not_answer():
    """Grade sizes of another table, and the school less its other grades."""
    climate = {
        "semel_mosad": ["a"],
        "school_year": [2026],
        "grade": [6],
        "facet": ["safety"],
        "eligible_pupils": [40],
        "respondents": [37],
        "agree_pct": [50.0],
        "agree_lo_pct": [1.0],
        "agree_hi_pct": [99.0],
        "response_rate_pct": [92.5],
    }
    fifth = {name: [5 if name == "grade" else value[0]] for name, value in climate.items()}
    sizes = pl.DataFrame({"grade": [2, 3, 4, 5, 6], "moving_pupils": [41, 42, 38, 39, 40]})
    school = {
        "place": ["a"],
        "school_year": [2026],
        "pupils": [240],
        "group_id": ["all"],
        "share_id": ["chronic_absence"],
        "case_pupils": [20],
    }
    tables = {
        "mart_city": city("all"),
        "mart_climate": pl.concat([pl.DataFrame(climate), pl.DataFrame(fifth)]),
        "mart_expected_absence": sizes.with_columns(semel_mosad=pl.lit("a"), school_year=2026),
        "mart_pupil_share": pl.DataFrame(school),
    }
    shown = released(tables)
    by_grade = shown["mart_climate"].sort("grade")["eligible_pupils"].to_list()
    moved = dict(shown["mart_expected_absence"].select("grade", "moving_pupils").iter_rows())
    assert by_grade == [None, None]
    assert moved[6] is None, "the fifth grade of this year is the sixth of the next"
    assert [moved[grade] for grade in (2, 3, 4, 5)].count(None) <= 1
    assert shown["mart_pupil_share"]["pupils"].to_list() == [240]


def test_what_parents_paid_tells_how_many_paid():
    payments = [("a", "all", 3), ("b", "all", 30), ("c", "all", 40), ("city", "all", 73)]
    paid = pl.col("payers") * 36_000
    tables = {
        "mart_city": city("all"),
        "mart_parents_payment": pl.DataFrame(
            payments, ["place", "response_id", "payers"], orient="row"
        ).with_columns(
            school_year=2026,
            paid_agorot=paid,
            paid_per_payer_agorot=36_000,
            paid_per_pupil_agorot=paid // 200,
            parents_share_pct=pl.lit(30.0),
            small_pupils=pl.lit(None, pl.Int32),
        ),
        "mart_parents_plan": pl.DataFrame(
            {"division_id": ["a", "b", "c", "city"], "payers": [3, 30, 40, 73]}
        ).select(
            "division_id",
            payment_scope=pl.when(pl.col("division_id") == "city")
            .then(pl.lit("city"))
            .otherwise(pl.lit("school")),
            school_year=2026,
            last_year_paid_agorot=paid,
            last_year_per_pupil_agorot=paid // 200,
            small_pupils=pl.lit(None, pl.Int32),
        ),
    }
    shown = released(tables)
    counted = dict(shown["mart_parents_payment"].select("place", "payers").iter_rows())
    assert counted["a"] is None
    assert [counted["b"], counted["c"]].count(None) == 1
    assert counted["city"] == 73
    for mart, place, money in (
        ("mart_parents_payment", "place", "paid_agorot"),
        ("mart_parents_plan", "division_id", "last_year_paid_agorot"),
    ):
        told = dict(shown[mart].select(place, money).iter_rows())
        assert {p for p, m in told.items() if m is None} == {p for p in counted if not counted[p]}
    plan = tables["mart_parents_plan"]
    with pytest.raises(PrivacyError, match="payers"):
        intrude(read(tables, shown | {"mart_parents_plan": plan}), LIMITS)


def quarters(*payers):
    """Four schools of 100 pupils, two in each of the outer need quarters, and what parents paid."""
    schools = [*zip("abcd", payers, (0.9, 0.8, 0.2, 0.1), strict=True)]
    paid = pl.col("payers") * 36_000
    by_quarter = [("1", sum(payers[:1])), ("2", payers[1]), ("3", payers[2]), ("4", payers[3])]
    places = [*((place, "school", n) for place, n, _ in schools), ("city", "city", sum(payers))]
    told = [*places, *((quarter, "need_quartile", n) for quarter, n in by_quarter)]
    nothing = pl.lit(None, pl.Int32)
    return {
        "mart_city": city("all"),
        "mart_need_index": pl.DataFrame(
            [(place, "state", 100, need) for place, _, need in schools],
            ["semel_mosad", "stream", "pupils", "need"],
            orient="row",
        ),
        "mart_parents_payment": pl.DataFrame(
            [(place, n) for place, _, n in places], ["place", "payers"], orient="row"
        ).with_columns(
            response_id=pl.lit("all"),
            school_year=2026,
            paid_agorot=paid,
            paid_per_payer_agorot=36_000,
            paid_per_pupil_agorot=paid // 100,
            parents_share_pct=pl.lit(30.0),
            small_pupils=nothing,
        ),
        "mart_parents_plan": pl.DataFrame(
            told, ["division_id", "payment_scope", "payers"], orient="row"
        )
        .with_columns(
            school_year=2026,
            last_year_paid_agorot=paid,
            last_year_per_pupil_agorot=paid // 100,
            small_pupils=nothing,
        )
        .drop("payers"),
    }


def test_what_a_need_quarter_paid_tells_what_its_schools_paid():
    tables = quarters(3, 30, 40, 50)
    shown = released(tables)
    plan = shown["mart_parents_plan"].select(
        "payment_scope", "division_id", "last_year_paid_agorot"
    )
    told = {(scope, place): paid for scope, place, paid in plan.iter_rows()}
    assert told["school", "a"] is None
    assert told["need_quartile", "1"] is None, "the school is its quarter"
    hidden = {place for (scope, place), paid in told.items() if scope == "school" and not paid}
    of_quarter = {"a": "1", "b": "2", "c": "3", "d": "4"}
    assert len(hidden) == 2
    assert all(told["need_quartile", of_quarter[place]] is None for place in hidden)
    assert told["city", "city"] == 123 * 36_000
    by_rule = shown["mart_parents_plan"].update(
        tables["mart_parents_plan"].filter(payment_scope="need_quartile"),
        on=["payment_scope", "division_id"],
    )
    with pytest.raises(PrivacyError, match="payers"):
        intrude(read(tables, tables | shown | {"mart_parents_plan": by_rule}), LIMITS)


def reached(**participants):
    """mart_unmet_need of one need, and mart_response_map of whoever takes part in its responses."""
    responses = [(name, f"name of {name}") for name in participants]
    both = sum(participants.values())
    return {
        "mart_city": city("all"),
        "mart_response": pl.DataFrame(responses, ["response_id", "response_name_he"], orient="row"),
        "mart_response_map": pl.DataFrame(
            list(participants.items()), ["response_id", "participants"], orient="row"
        ).with_columns(semel_mosad=pl.lit("a"), cell_pupils=pl.lit(30)),
        "mart_unmet_need": pl.DataFrame(
            {
                "semel_mosad": ["a"],
                "need_id": ["chronic_absence"],
                "group_id": ["all"],
                "group_pupils": [200],
                "participants": [both],
                "answers_he": [", ".join(name for _, name in responses)],
                "need_measure": ["gap"],
            }
        ).with_columns(
            pl.lit(None, pl.Float64).alias(name)
            for name in (
                *("in_need_pupils", "in_need_lo_pupils", "in_need_hi_pupils", "unmet_need"),
                *("unmet_pupils", "unmet_lo_pupils", "unmet_hi_pupils", "participants_full"),
                "cell_pupils",
            )
        ),
    }


def test_whom_a_need_reaches_tells_who_takes_part_in_what_answers_it():
    alone = released(reached(merchav=3))
    assert alone["mart_unmet_need"]["participants"].to_list() == [None]
    tables = reached(merchav=3)
    told = tables | {"mart_response_map": alone["mart_response_map"]}
    with pytest.raises(PrivacyError, match="participants"):
        intrude(read(tables, told), LIMITS)
    # Of two responses to it nobody knows how many take part in both.
    both = released(reached(merchav=3, milat=9))
    assert both["mart_unmet_need"]["participants"].to_list() == [12]


def test_pupils_of_one_and_of_several_responses_and_in_none_are_the_school():
    rows = [("a", 60, 22, 3), ("b", 200, 40, 9)]
    columns = ["semel_mosad", "none_pupils", "one_pupils", "several_pupils"]
    tables = {
        "mart_city": city("all"),
        "mart_response_group": pl.DataFrame(
            {"semel_mosad": ["a", "b"], "group_pupils": [85, 249]}
        ).with_columns(group_id=pl.lit("all"), goal_id=pl.lit("g"), response_id=pl.lit("r")),
        "mart_over_coverage": pl.DataFrame(rows, columns, orient="row").with_columns(
            goal_id=pl.lit("g"),
            in_need_none_pupils=pl.col("none_pupils") - 2,
            cell_pupils=pl.lit(30),
        ),
    }
    shown = released(tables)["mart_over_coverage"]
    told = {row[0]: row[1:] for row in shown.select(columns).iter_rows()}
    assert told["a"][2] is None
    assert told["a"].count(None) >= 2, "the school less the others"
    both = shown.select("none_pupils", "in_need_none_pupils").rows()
    assert all(None in pair for pair in both), "all but two of those in none need it"


def test_how_many_rows_a_file_of_leavers_has_is_told_to_nobody():
    """Forty moved to other schools and are told; the file has 43 rows; so three dropped out."""
    sources = ["attendance__exits", "register__pupils"]
    tables = {
        "mart_source_file": pl.DataFrame(
            {"source_id": sources, "rows_in": [43, 2146], "rows_staged": [43, 2146]}
        ).with_columns(rows_quarantined=0, quarantined_pct=0.0),
        "mart_repair": pl.DataFrame({"source_id": sources, "repaired_rows": [43, 2146]}),
        "mart_data_quality": pl.DataFrame(
            {"table_name": ["raw_attendance__exits", "core_school"], "checked_rows": [43, 36]}
        ),
    }
    shown = suppress(tables, "analyst", LIMITS)
    assert shown["mart_source_file"].drop("source_id").rows() == [
        (None, None, 0, None),
        (2146, 2146, 0, 0.0),
    ]
    assert shown["mart_repair"]["repaired_rows"].to_list() == [None, 2146]
    assert shown["mart_data_quality"]["checked_rows"].to_list() == [None, 36]
    told = {name: shown[name] for name in tables}
    gate(told, "analyst", LIMITS)
    for name in tables:
        with pytest.raises(PrivacyError, match=f"{name} tells what is not to be told"):
            gate(told | {name: tables[name]}, "analyst", LIMITS)


def test_answers_of_few_and_those_who_did_not_answer():
    rows = [("a", 20, 17, 76.5), ("b", 40, 30, 93.3), ("c", 40, 30, 50.0), ("d", 30, 30, 50.0)]
    columns = ["semel_mosad", "eligible_pupils", "respondents", "agree_pct"]
    tables = {
        "mart_climate": pl.DataFrame(rows, columns, orient="row").with_columns(
            school_year=2026,
            grade=5,
            facet=pl.lit("safety"),
            response_rate_pct=100 * pl.col("respondents") / pl.col("eligible_pupils"),
            agree_lo_pct=pl.lit(1.0),
            agree_hi_pct=pl.lit(99.0),
        )
    }
    shown = released(tables)["mart_climate"]
    found = {row["semel_mosad"]: row for row in shown.iter_rows(named=True)}
    assert (found["a"]["eligible_pupils"], found["a"]["response_rate_pct"]) == (None, None)
    assert found["a"]["respondents"] == 17
    # All but one to four: told as the middle of that, from the least to the most of its interval.
    assert found["a"]["agree_pct"] == pytest.approx(100 - 250 / 17)
    assert found["b"]["agree_pct"] == pytest.approx(100 - 250 / 30)
    assert found["b"]["agree_lo_pct"] < 100 * 26 / 30 < 100 * 29 / 30 < found["b"]["agree_hi_pct"]
    assert found["b"]["eligible_pupils"] == 40
    for name in "cd":
        assert None not in found[name].values()
        assert (found[name]["agree_pct"], found[name]["agree_lo_pct"]) == (50.0, 1.0)
    told = read(tables, tables | {"mart_climate": shown})
    exact = tables["mart_climate"].filter(semel_mosad="b")["agree_pct"].item()
    plain = pl.when(pl.col("semel_mosad") == "b").then(exact).otherwise("agree_pct")
    as_it_is = shown.with_columns(agree_pct=plain)
    with pytest.raises(PrivacyError, match="respondents, share_cases"):
        intrude(read(tables, tables | {"mart_climate": as_it_is}), LIMITS)
    assert not any(cell.is_told for cell in told.cells.values() if cell.count == "agreeing")


def test_the_answers_behind_a_need_are_those_of_the_classes():
    """Four answered in one class; the need of all classes says on how many it stands."""
    classes = [(4, 4, 75.0), (5, 40, 50.0), (6, 38, 50.0)]
    tables = {
        "mart_city": city("all"),
        "mart_climate": pl.DataFrame(
            classes, ["grade", "respondents", "agree_pct"], orient="row"
        ).with_columns(
            semel_mosad=pl.lit("a"),
            school_year=2026,
            facet=pl.lit("safety"),
            eligible_pupils=pl.lit(60),
            response_rate_pct=100 * pl.col("respondents") / 60,
            agree_lo_pct=pl.lit(1.0),
            agree_hi_pct=pl.lit(99.0),
        ),
        "mart_need_indicator": pl.DataFrame(
            {
                "semel_mosad": ["a"],
                "indicator_id": ["climate_safety"],
                "unit": ["percent not positive"],
                "indicator_value": [50.0],
                "indicator_n": [82],
                "indicator_need": [0.3],
                "indicator_need_se": [0.1],
                "p_need": [0.9],
            }
        ),
    }
    shown = released(tables)["mart_climate"]
    answered = dict(shown.select("grade", "respondents").iter_rows())
    assert answered[4] is None
    assert None in (answered[5], answered[6]), "82 less the others are four"
    few = tables["mart_climate"].with_columns(
        pl.when(pl.col("grade") != 4).then(pl.col("respondents", "agree_pct", "response_rate_pct"))
    )
    with pytest.raises(PrivacyError, match="share_pupils"):
        intrude(read(tables, tables | {"mart_climate": few}), LIMITS)


def test_four_tests_in_four_cells_are_read_off_nothing():
    """Fewer than five tests in four grades and years are four: the cells are hidden with them."""
    rows = [("a", 4, 4, 4), ("b", 40, 12, 4)]
    columns = ["semel_mosad", "tested_pupils", "distinct_pupils", "cells"]
    measures = ("gap_sd", "gap_se_sd", "gap_lo_sd", "gap_hi_sd", "p_below_target")
    tables = {
        "mart_gap_group_school": pl.DataFrame(rows, columns, orient="row").with_columns(
            *(pl.lit(0.4).alias(name) for name in measures),
            group_id=pl.lit("gifted"),
            subject=pl.lit("math"),
            gap_tier=pl.lit("surely_below"),
        )
    }
    shown = released(tables)
    assert shown["mart_gap_group_school"].select(columns).rows() == [
        ("a", None, None, None),
        ("b", 40, 12, 4),
    ]
    cells = tables["mart_gap_group_school"]["cells"]
    few = {"mart_gap_group_school": shown["mart_gap_group_school"].with_columns(cells)}
    assert left_beside(tables, shown) == []
    assert left_beside(tables, few) == ["mart_gap_group_school.cells"]


def test_girls_and_boys_who_were_tested_are_all_of_the_school():
    rows = [("girls", 3, 3), ("boys", 40, 40)]
    groups = [("girls", "sex"), ("boys", "sex")]
    gaps = {name: pl.lit(0.1) for name in ("gap_sd", "gap_se_sd", "gap_lo_sd", "gap_hi_sd")}
    tables = {
        "mart_city": city("all"),
        "mart_group": pl.DataFrame(groups, ["group_id", "group_dimension"], orient="row"),
        "mart_gap_school": pl.DataFrame(
            {"semel_mosad": ["a"], "subject": ["math"], "tested_pupils": [43]}
        ),
        "mart_gap_group_school": pl.DataFrame(
            rows, ["group_id", "tested_pupils", "distinct_pupils"], orient="row"
        ).with_columns(
            **gaps, semel_mosad=pl.lit("a"), subject=pl.lit("math"), cells=2, p_below_target=0.5
        ),
    }
    shown = released(tables)
    assert shown["mart_gap_group_school"]["tested_pupils"].to_list() == [None, None]
    assert shown["mart_gap_school"]["tested_pupils"].to_list() == [43]


def test_ten_tests_of_two_children_are_two_children():
    rows = [("a", 10, 2), ("b", 10, 10), ("c", 40, 12)]
    tables = {
        "mart_gap_group_school": pl.DataFrame(
            rows, ["semel_mosad", "tested_pupils", "distinct_pupils"], orient="row"
        ).with_columns(
            group_id=pl.lit("gifted"),
            subject=pl.lit("math"),
            gap_sd=pl.lit(0.4),
            gap_se_sd=pl.lit(0.2),
            gap_lo_sd=pl.lit(0.1),
            gap_hi_sd=pl.lit(0.7),
            p_below_target=pl.lit(0.95),
            gap_tier=pl.lit("surely_below"),
        )
    }
    shown = released(tables)["mart_gap_group_school"]
    for column in ("gap_sd", "gap_se_sd", "gap_lo_sd", "gap_hi_sd", "p_below_target", "gap_tier"):
        assert shown[column].is_null().to_list() == [True, False, False], column


def test_two_nights_do_not_tell_the_score_of_the_child_between():
    """57 children, then 58: what the means as told allow the new one to have scored."""
    sd, target = 15.0, 75.0
    for n, mean, score in ((57, 70.342466, 20.0), (23, 81.7, 99.0), (140, 66.0, 100.0)):
        means = [mean, (n * mean + score) / (n + 1)]
        frame = pl.DataFrame({"tested_pupils": [n, n + 1], "actual_value": means}).with_columns(
            desired_value=pl.lit(target),
            gap_raw_sd=(target - pl.col("actual_value")) / sd,
            tested_pupils_is_imputed=False,
            tested_share_pct=pl.lit(95.0),
        )
        shown = round_off("mart_gap_school_subject", frame)
        for column, unit in (("actual_value", sd), ("gap_raw_sd", 1.0)):
            told = shown[column].to_list()
            raw = frame[column].to_list()
            step = max(abs(a - b) for a, b in zip(told, raw, strict=True)) * 2
            least_step = unit / n * 0.99  # a step of one SD over the children, or more
            grid = [abs(value / least_step - round(value / least_step)) for value in raw]
            assert max(grid) > 0.01, "the example lies on the grid by chance"
            assert step <= 5.1 * unit / n
            # Whatever the sums may be, the new child's score may be any within ± 1 SD of its own.
            half = step_of(told, unit, n) / 2
            wide = (n + 1) * half + n * half
            assert wide >= unit


def step_of(told, unit, n):
    """The step that a told value lies on: the smallest 1, 2, 5 … that is not below unit ÷ n."""
    steps = [m * 10.0**p for p in range(-4, 3) for m in (1, 2, 5)]
    step = min(s for s in steps if s >= unit / n * (1 - 1e-9))
    assert abs(told[0] / step - round(told[0] / step)) < 1e-6
    return step


@pytest.mark.parametrize("n", [7, 12, 30, 64, 231, 1000])
def test_a_share_as_told_leaves_four_counts_open_wherever_it_lies(n):
    true = pl.DataFrame({"listed_pupils": [n] * (n + 1), "untested": range(n + 1)}).with_columns(
        untested_pct=100.0 * pl.col("untested") / n,
        untested_lo_pct=pl.lit(0.0),
        untested_hi_pct=pl.lit(0.0),
    )
    shown = round_off("mart_test_participation", true)
    fits = shown.group_by("untested_pct", "untested_lo_pct", "untested_hi_pct").len()
    assert fits["len"].min() >= 4
    share = true["untested_pct"]
    assert (shown["untested_lo_pct"] <= share).all()
    assert (share <= shown["untested_hi_pct"]).all()
