"""Which needs no response meets, which schools could share one (R54, R56); SQL makes the map."""

import polars as pl

from models.keys import WHOLE
from models.need import need_from_anchors
from models.responses import PoolingLimits, far_below, pool_schools, rate_share, unmet_needs
from pipelines.settings.city import CityFolder
from pipelines.settings.keys import AGOROT
from pipelines.warehouse.tables import Step, Tables, nothing, table_of

GAP, ELIGIBILITY = "gap", "eligibility"
NEAR, PROFILE = "near", "profile"
_PLACES = ["need_id", "semel_mosad"]
_SIZED = [*_PLACES, "is_rule", "p_need", "need_size", "need_n", "share", "share_lo", "share_hi"]


def frame(city: CityFolder, _: Tables) -> Tables:
    """Return the policy's needs and topics with the responses that answer them.

    A response with a condition of eligibility is a need of its own: the eligible school without it.
    """
    policy = city.policy
    needs: list[tuple[str | None, ...]] = [
        (
            key,
            need.name_he,
            need.name_en,
            need.measure,
            need.subject,
            need.group or WHOLE,
            need.goal,
            need.source,
            need.reason,
        )
        for key, need in policy.response_map.needs.items()
    ]
    answers = [
        (key, response)
        for key, need in policy.response_map.needs.items()
        for response in need.responses
    ]
    for response_id, response in policy.responses.items():
        if response.eligibility is None:
            continue
        key = f"eligible_{response_id}"
        names = (f"זכאות ל{response.name_he}", f"Eligible for {response.name_en}")
        needs.append(
            (
                key,
                *names,
                ELIGIBILITY,
                None,
                WHOLE,
                response.goal,
                response.eligibility.reason_en,
                "an eligible school has the response, or a reason why not",
            )
        )
        answers.append((key, response_id))
    aspects = [
        (topic_id, aspect_id, aspect)
        for topic_id, sides in policy.response_map.topics
        for aspect_id, aspect in sides.items()
    ]
    return {
        "core_need": table_of("core_need", needs),
        "core_need_answer": table_of("core_need_answer", answers),
        "core_topic_aspect": table_of(
            "core_topic_aspect",
            [
                (topic, key, aspect.name_he, aspect.group, aspect.source, aspect.reason)
                for topic, key, aspect in aspects
            ],
        ),
        "core_topic_answer": table_of(
            "core_topic_answer",
            [
                (topic, key, response)
                for topic, key, aspect in aspects
                for response in aspect.responses
            ],
        ),
    }


def unmet(city: CityFolder, tables: Tables) -> Tables:
    """Return the needs that no response meets, or not enough of one."""
    policy = city.policy.response_map
    sized = pl.concat(
        [
            _gaps(city, tables),
            _rates(city, tables),
            _eligible(city, tables),
        ]
    )
    names = tables["core_response"].select("response_id", "response_name_he")
    answers = (
        tables["core_need_answer"]
        .join(names, on="response_id")
        .sort("need_id", "response_id")
        .group_by("need_id", maintain_order=True)
        .agg(pl.col("response_name_he").str.join(", ").alias("answers_he"))
    )
    rows = (
        sized.join(tables["core_need_reach"], on=_PLACES)
        .join(tables["core_need"], on="need_id", suffix="_of_need")
        .join(answers, on="need_id", how="left")
    )
    return {"mart_unmet_need": unmet_needs(rows, policy.significant.value)}


def _gaps(city: CityFolder, tables: Tables) -> pl.DataFrame:
    """Return the needs that are gaps: of whole schools and of groups, with the share far below."""
    below_sd = city.policy.response_map.in_need_below_sd.value
    greatest = city.policy.need.greatest.gap.value
    needs = tables["core_need"].filter(pl.col("need_measure") == GAP).drop_nulls("subject")
    columns = [
        "semel_mosad",
        "subject",
        "gap_sd",
        "gap_se_sd",
        "gap_lo_sd",
        "gap_hi_sd",
        "p_below_target",
        "tested_pupils",
    ]
    known = pl.concat(
        [
            tables["mart_gap_school"]
            .filter("is_measured")
            .select(*columns, pl.lit(WHOLE).alias("group_id")),
            tables["mart_gap_group_school"].drop_nulls("gap_sd").select(*columns, "group_id"),
        ]
    )
    held = known.join(needs.select("need_id", "subject", "group_id"), on=["subject", "group_id"])
    values = held.select(*_PLACES, value="gap_sd", se="gap_se_sd", n="tested_pupils")
    sizes = need_from_anchors(values, 0, greatest).rename({"indicator_need": "need_size"})
    return (
        far_below(held, below_sd)
        .join(sizes.select(*_PLACES, "need_size"), on=_PLACES)
        .select(
            *_PLACES,
            pl.lit(False).alias("is_rule"),
            pl.col("p_below_target").alias("p_need"),
            "need_size",
            pl.col("tested_pupils").cast(pl.Int32).alias("need_n"),
            *_SIZED[-3:],
        )
    )


def _rates(city: CityFolder, tables: Tables) -> pl.DataFrame:
    """Return the needs that are rates of the need index (absence, dropout, safety)."""
    indicators = pl.DataFrame(
        [(key, item.measure) for key, item in city.policy.need.indicators.items()],
        schema=["indicator_id", "need_measure"],
        orient="row",
    )
    needs = tables["core_need"].filter(~pl.col("need_measure").is_in([GAP, ELIGIBILITY]))
    held = (
        tables["mart_need_indicator"]
        .filter("is_measured")
        .join(indicators, on="indicator_id")
        .join(needs.select("need_id", "need_measure"), on="need_measure")
        .rename({"indicator_value": "rate_pct", "indicator_n": "n"})
    )
    return rate_share(held).select(
        *_PLACES,
        pl.lit(False).alias("is_rule"),
        "p_need",
        pl.col("indicator_need").alias("need_size"),
        pl.col("n").cast(pl.Int32).alias("need_n"),
        *_SIZED[-3:],
    )


def _eligible(city: CityFolder, tables: Tables) -> pl.DataFrame:
    """Return the schools that a condition admits, with places by the response's served share."""
    responses = pl.DataFrame(
        [
            (f"eligible_{key}", key, response.served_share.value)
            for key, response in city.policy.responses.items()
            if response.eligibility is not None
        ],
        schema={"need_id": pl.String, "response_id": pl.String, "served_share": pl.Float64},
        orient="row",
    )
    return (
        tables["mart_response_map"]
        .filter("is_eligible")
        .join(responses, on="response_id")
        .join(tables["mart_need_index"].select("semel_mosad", "need"), on="semel_mosad")
        .select(
            *_PLACES,
            pl.lit(True).alias("is_rule"),
            pl.lit(None, pl.Float64).alias("p_need"),
            pl.col("need").alias("need_size"),
            pl.lit(None, pl.Int32).alias("need_n"),
            pl.col("served_share").alias("share"),
            *(pl.lit(None, pl.Float64).alias(name) for name in _SIZED[-2:]),
        )
    )


def pooling(city: CityFolder, tables: Tables) -> Tables:
    """Return, for each response of the plan, which schools that lack it could share it."""
    limits, reported = city.policy.response_map.pooling, tables["mart_response_map"]["is_measured"]
    travel = round(AGOROT * limits.travel_cost.value)
    near = PoolingLimits(
        limits.max_distance.value, limits.max_schools.value, limits.max_participants.value, travel
    )
    # Staffs share guidance: nobody travels, and the number of pupils is no limit.
    profile = PoolingLimits(limits.max_profile_distance.value, limits.max_schools.value, None, 0)
    summary, sets, members = [], [], []
    for response_id, response in city.policy.school_responses.items():
        kind = PROFILE if response.action_channel == "staff_training" else NEAR
        row: dict[str, object] = {"response_id": response_id, "pooling_kind": kind}
        demand = _demand(response_id, response.served_share.value, kind, tables)
        placed = demand.drop_nulls(["place_x", "place_y"]).height
        # Without a report nobody knows who lacks it; without a place nobody knows who is near.
        row["is_measured"] = reported.any() and (placed > 0 or demand.is_empty())
        if row["is_measured"]:
            own, people = pool_schools(
                demand,
                round(AGOROT * response.fixed_cost.value),
                round(AGOROT * response.unit_cost.value),
                profile if kind == PROFILE else near,
            )
            marks = [pl.lit(response_id).alias("response_id"), pl.lit(kind).alias("pooling_kind")]
            sets.append(own.with_columns(marks))
            members.append(people.with_columns(marks[0]))
            money = own.select(pl.col("^.*_agorot$").sum()).row(0, named=True)
            row |= money | {
                "schools_lacking": demand.height,
                "schools_not_located": demand.height - placed,
                "pooling_sets": own.height,
                "schools_pooled": people.height,
            }
        summary.append(row)
    names = tables["core_need"].select("need_id", "need_name_he")
    return {
        "mart_pooling": table_of("mart_pooling", summary),
        "mart_pooling_set": (
            pl.concat(sets).join(names, on="need_id") if sets else nothing("mart_pooling_set")
        ),
        "mart_pooling_school": pl.concat(members) if members else nothing("mart_pooling_school"),
    }


def _demand(response_id: str, served_share: float, kind: str, tables: Tables) -> pl.DataFrame:
    """Return the eligible schools with an unmet need the response answers, where it does not run.

    Participants are the registered share of the pupils, but no more than the greatest unmet need.
    """
    needs = tables["core_need_answer"].filter(pl.col("response_id") == response_id)["need_id"]
    lacking = tables["mart_response_map"].filter(
        pl.col("response_id") == response_id, "is_eligible", "is_measured", ~pl.col("is_served")
    )
    schools = tables["core_school"].join(
        tables["core_school_year"]
        .drop_nulls("nurture_index")
        .sort("school_year")
        .group_by("semel_mosad")
        .agg(pl.col("nurture_index").last()),
        on="semel_mosad",
        how="left",
    )
    place = (
        [pl.col("location_east_m"), pl.col("location_north_m")]
        if kind == NEAR
        else [pl.col("nurture_index"), pl.lit(0.0)]
    )
    places = pl.min_horizontal(
        (served_share * pl.col("pupils")).round(), pl.col("unmet_pupils").ceil()
    )
    return (
        tables["mart_unmet_need"]
        .filter(pl.col("need_id").is_in(needs.implode()), "is_measured")
        .sort(_PLACES)
        .group_by("semel_mosad", maintain_order=True)
        .agg(pl.col("need_id").alias("need_ids"), pl.col("unmet_pupils").max())
        .join(lacking, on="semel_mosad", how="semi")
        .join(schools, on="semel_mosad")
        .join(tables["mart_need_index"].select("semel_mosad", "pupils"), on="semel_mosad")
        .select(
            "semel_mosad",
            "stream",
            place[0].alias("place_x"),
            place[1].alias("place_y"),
            places.cast(pl.Int32).alias("participants"),
            "need_ids",
        )
        .filter(pl.col("participants") > 0)
    )


STEPS = (
    Step(
        "response_needs",
        "aim",
        makes=("core_need", "core_need_answer", "core_topic_aspect", "core_topic_answer"),
        reads=(),
        compute=frame,
    ),
    Step(
        "unmet_needs",
        "decide",
        makes=("mart_unmet_need",),
        reads=(
            "core_need",
            "core_need_answer",
            "core_need_reach",
            "core_response",
            "mart_gap_school",
            "mart_gap_group_school",
            "mart_need_indicator",
            "mart_need_index",
            "mart_response_map",
        ),
        compute=unmet,
    ),
    Step(
        "pooling",
        "decide",
        makes=("mart_pooling", "mart_pooling_set", "mart_pooling_school"),
        reads=(
            "mart_unmet_need",
            "core_need",
            "core_need_answer",
            "mart_response_map",
            "mart_need_index",
            "core_school",
            "core_school_year",
        ),
        compute=pooling,
    ),
)
