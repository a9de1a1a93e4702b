"""Money and opinion against effect: alignment, cost, ratings, placement (R59–R67)."""

from __future__ import annotations

import polars as pl

from models.effects import (
    agreement,
    alignment,
    cost_per_month,
    money_follows_effect,
    perceived,
    placement,
    rated_alike,
    rated_by_role,
    response_money,
)
from models.effects.agreement import LEVELS
from models.keys import WHOLE
from pipelines.settings.city import CityFolder
from pipelines.settings.evidence import ASSUMED
from pipelines.settings.fields import dictionary
from pipelines.warehouse.tables import Step, Tables, nothing

# Half of a 90 % interval in errors of a normal.
_REACH = 1.6448536269514722
_NOTHING_CARRIED = "of an assumption nothing is carried: it enters with mean 0 and its own spread"


def of_all_pupils(tables: Tables) -> pl.DataFrame:
    """Return the verdicts on all pupils."""
    return tables["mart_verdict"].filter(pl.col("group_id") == WHOLE).drop("group_id")


def evidence(city: CityFolder, _: Tables) -> Tables:
    """Return every registered prior effect and cost, with what it rests on (R62)."""
    policy = city.policy
    works = policy.works
    rows = []
    for response_id, response in policy.responses.items():
        is_assumed = policy.is_assumed(response_id)
        work = works.get(response.effect_source)
        discount = response.transport_discount
        for subject, effect in response.effects.items():
            rows.append(
                {
                    "response_id": response_id,
                    "quantity": f"effect.{subject}",
                    "evidence_value": effect.mean,
                    "evidence_spread": effect.sd,
                    "unit": "pupil SD per year",
                    "transport_discount": policy.carried_share(response_id),
                    "discount_reason": _NOTHING_CARRIED if is_assumed else discount.reason,
                    "source": (
                        f"{work.authors} ({work.year}). {work.title}. {work.where}"
                        if work
                        else response.effect_source
                    ),
                    "is_assumed": is_assumed,
                    "finding": work.finding if work else None,
                    "read_on": work.read_on if work else response.registered_on,
                    "reason": response.effect_reason,
                    "reason_he": response.effect_reason_he,
                }
            )
        for quantity in ("fixed_cost", "unit_cost", "served_share"):
            parameter = getattr(response, quantity)
            rows.append(
                {
                    "response_id": response_id,
                    "quantity": quantity,
                    "evidence_value": parameter.value,
                    "unit": parameter.unit,
                    "source": parameter.source,
                    "is_assumed": parameter.source.startswith(ASSUMED),
                    "read_on": response.registered_on,
                    "reason": parameter.reason,
                    "reason_he": None if quantity == "served_share" else response.cost_reason_he,
                }
            )
    return {"mart_evidence": pl.DataFrame(rows, infer_schema_length=None)}


def sides(_: CityFolder, tables: Tables) -> Tables:
    """Return prior, local estimate and posterior of each response side by side (R62).

    The prior is the discounted one: its mean shrinks, its spread does not. Without a local estimate
    the posterior is that prior. The row "all" is the mean over the subjects, as the verdict takes
    it.
    """
    key = ["response_id", "subject"]
    prior = tables["mart_effect"].select(
        *key, "prior_sd", "transport_discount", "treated_pupils", "design_shares"
    )
    used = (
        tables["mart_effect_design"]
        .filter("is_used")
        .sort(*key, "design_grade", "design")
        .group_by(key, maintain_order=True)
        .agg(pl.col("design").str.join(",").alias("designs"))
    )
    fewest = prior.group_by("response_id").agg(pl.col("treated_pupils").min().alias("fewest"))
    ends = [
        (pl.col(f"{side}_sd") + sign * _REACH * pl.col(error)).alias(f"{side}_{end}_sd")
        for side, error in (("literature", "prior_se_sd"), ("local", "local_se_sd"))
        for end, sign in (("lo", -1), ("hi", 1))
    ]
    rows = (
        of_all_pupils(tables)
        .drop_nulls(["effect_sd", "literature_sd"])
        .join(prior, on=key, how="left")
        .join(used, on=key, how="left")
        .join(fewest, on="response_id", how="left")
        .with_columns(
            *ends,
            pl.col("local_sd").is_not_null().alias("is_measured"),
            # A mean over subjects tells of the fewest pupils behind one of them.
            pl.when(pl.col("subject") == WHOLE)
            .then("fewest")
            .otherwise("treated_pupils")
            .alias("treated_pupils"),
        )
    )
    return {"mart_effect_side": rows.select(nothing("mart_effect_side").columns)}


def money(city: CityFolder, tables: Tables) -> Tables:
    """Return what each response cost in the last budgeted year, and if money follows effect."""
    policy, judged = city.policy.effects, of_all_pupils(tables)
    # A list that gives no dose is of a full one.
    participation = tables["core_participation"].with_columns(pl.col("dose").fill_null(1.0))
    years = response_money(tables["core_budget_line"], participation)
    with_money = years.filter(pl.col("schools") > 0)
    spent = years.join(with_money.select(pl.col("school_year").max()), on="school_year")
    whole = judged.filter(pl.col("subject") == WHOLE)
    return {
        "mart_response_money": cost_per_month(
            spent, whole, months_per_sd=dictionary().references["months_per_sd"].value
        ),
        "mart_alignment": alignment(judged, spent).rename({"place": "alignment_place"}),
        "mart_money_effect": money_follows_effect(judged, spent, seed=policy.seed.value),
    }


def ratings_shown(city: CityFolder, tables: Tables) -> Tables:
    """Return how people rate the responses, where they agree, and where estimates say otherwise."""
    policy, ratings = city.policy.effects, tables["core_rating"]
    least = policy.least_raters.value
    # What one or two people said is what persons said: it is published in the sum only (R78).
    enough = pl.col("raters") >= least
    shown = agreement(ratings, seed=policy.seed.value).filter(
        (pl.col("about_role") == WHOLE)
        | ((pl.col("responses") > 0) & (pl.col("ratings") >= least * pl.col("responses")))
    )
    notes = ratings.group_by("response_id", "goal_id").agg(
        pl.col(LEVELS).sum(),
        pl.col("rationales").sum(),
        pl.col("first_rated_on").min(),
        pl.col("last_rated_on").max(),
    )
    roles = publishable_roles(rated_by_role(ratings), least)
    return {
        "mart_agreement": shown,
        "mart_rating": (
            rated_alike(ratings).filter(enough).join(notes, on=["response_id", "goal_id"])
        ),
        "mart_rating_role": roles,
        "mart_rating_family": publishable_families(
            ratings.join(tables["core_role"], on="role"),
            roles,
            max(least, city.policy.voices.least_people.value),
        ),
        "mart_rating_evidence": tables["core_rating_evidence"].filter(enough),
        "mart_perception": (
            perceived(
                ratings,
                of_all_pupils(tables),
                seed=policy.seed.value,
                likely=policy.sure.value,
                least_information=policy.least_information.value,
            ).filter(enough)
        ),
    }


def publishable_roles(by_role: pl.DataFrame, least: int) -> pl.DataFrame:
    """Return the roles whose rating may be published: of enough raters, among enough others.

    The rating of all raters is published too. Less the roles shown it would give away what the
    others said, so where those are fewer than `least`, the smallest role shown is left out with
    them.

    Args:
        by_role: result of `rated_by_role`.
        least: fewest raters whose ratings are published.

    Source: R78.
    """
    unit = ["response_id", "goal_id"]
    enough = by_role.filter(pl.col("raters") >= least).sort(*unit, "raters", "role")
    rest = (pl.col("raters") + pl.col("others_raters")).first() - pl.col("raters").sum()
    is_safe = (rest == 0) | (rest >= least)
    first = pl.int_range(pl.len()) == 0
    return enough.filter(is_safe.over(unit) | ~first.over(unit)).sort(*unit, "role")


def publishable_families(ratings: pl.DataFrame, roles: pl.DataFrame, least: int) -> pl.DataFrame:
    """Return the counts of each rating by family of roles, as far as they may be published.

    The means of roles (`publishable_roles`) and the counts of all raters are published too. So a
    family is told if its raters without those of published roles are none, or enough; else its
    published roles are told one by one. Where fewer than `least` would be left over of everybody,
    the family with the smallest rest is not told and joins them.

    Args:
        ratings: response_id, goal_id, role, role_family, raters, red_raters, yellow_raters,
            green_raters.
        roles: result of `publishable_roles`.
        least: fewest raters whose ratings are published.

    Returns:
        response_id, goal_id, role_family, about_role ("all" = the whole family), raters,
        red_raters, yellow_raters, green_raters.

    Source: R74, R78.
    """
    unit, family = ["response_id", "goal_id"], ["response_id", "goal_id", "role_family"]
    counts = pl.col("raters", *LEVELS)
    known = roles.select(*unit, "role", is_known=pl.lit(value=True))
    rows = ratings.join(known, on=[*unit, "role"], how="left").with_columns(
        pl.col("is_known").fill_null(value=False)
    )
    rest = pl.col("raters").filter(~pl.col("is_known")).sum()
    families = rows.group_by(family).agg(counts.sum(), rest.alias("rest")).sort(family)
    families = families.with_columns(
        is_told=(pl.col("raters") >= least) & ((pl.col("rest") == 0) | (pl.col("rest") >= least))
    )
    left = pl.col("rest").filter(~pl.col("is_told")).sum().over(unit)
    has_rest = pl.col("is_told") & (pl.col("rest") > 0)
    joins = has_rest & (pl.struct("rest", "role_family").rank("ordinal").over(*unit, has_rest) == 1)
    families = families.with_columns(
        is_told=pl.col("is_told") & ~(joins & (left > 0) & (left < least))
    )
    columns = [*family, "about_role", "raters", *LEVELS]
    single = rows.filter("is_known").join(families.filter("is_told"), on=family, how="anti")
    return pl.concat(
        [
            families.filter("is_told").select(
                *family, pl.lit(WHOLE).alias("about_role"), "raters", *LEVELS
            ),
            single.rename({"role": "about_role"}).select(columns),
        ]
    ).sort(*family, "about_role")


def placements(city: CityFolder, tables: Tables) -> Tables:
    """Return whether responses sit where the need is (R65, R85)."""
    policy, responses = city.policy.effects, tables["mart_response_map"]
    served = responses.filter("is_measured", "is_eligible")
    need = tables["mart_need_index"].select(
        "semel_mosad",
        "need",
        ((pl.col("need_hi") - pl.col("need_lo")) / (2 * _REACH)).alias("need_se"),
    )
    found = placement(served, need, seed=policy.seed.value, margin=policy.need_margin.value)
    return {"mart_placement": found}


STEPS = (
    Step("evidence", "decide", makes=("mart_evidence",), reads=(), compute=evidence),
    Step(
        "effect_sides",
        "decide",
        makes=("mart_effect_side",),
        reads=("mart_effect", "mart_effect_design", "mart_verdict"),
        compute=sides,
    ),
    Step(
        "response_money",
        "decide",
        makes=("mart_response_money", "mart_alignment", "mart_money_effect"),
        reads=("core_budget_line", "core_participation", "mart_verdict"),
        compute=money,
    ),
    Step(
        "response_ratings",
        "decide",
        makes=(
            "mart_agreement",
            "mart_rating",
            "mart_rating_role",
            "mart_rating_family",
            "mart_rating_evidence",
            "mart_perception",
        ),
        reads=("core_rating", "core_rating_evidence", "core_role", "mart_verdict"),
        compute=ratings_shown,
    ),
    Step(
        "response_placement",
        "decide",
        makes=("mart_placement",),
        reads=("mart_response_map", "mart_need_index"),
        compute=placements,
    ),
)
