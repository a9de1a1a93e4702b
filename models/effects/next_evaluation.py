"""What to evaluate next: what each design could detect, and what knowing it would be worth."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import polars as pl
from scipy.stats import norm

from models.checks import every_row, one_row_each
from models.effects.estimate import FEW_SCHOOLS
from models.effects.local import BIAS_SD
from models.lottery import lottery_seed

GRADES = {"lottery": "A", "threshold": "B", "panel": "C", "matching": "D", "none": "E"}
_NOTHING = 1e-12
_PLACE = ["response_id", "semel_mosad"]


@dataclass(frozen=True)
class Variances:
    """What makes scores differ, in pupil SD of one subject.

    Attributes:
        pupil_sd: SD of pupils' scores within a school and grade, test error included.
        prior_r2: share of that variance which earlier scores explain.
        class_sd: SD between classes of a grade.
        class_pupils: tested pupils in a class.
        school_year_sd: SD of what a school has in one year and subject only, √(w² + x²).
    """

    pupil_sd: float
    prior_r2: float
    class_sd: float
    class_pupils: float
    school_year_sd: float

    def __post_init__(self) -> None:
        """Refuse what is no variance."""
        fine = self.pupil_sd > 0 and 0 <= self.prior_r2 < 1 and self.class_pupils >= 1
        if not (fine and self.class_sd >= 0 and self.school_year_sd >= 0):
            raise ValueError("variances must be positive, prior_r2 from 0 to below 1")


def detectable(
    entries: pl.DataFrame,
    variances: Variances,
    *,
    years: int = 1,
    years_before: int = 2,
    take_up: float = 1.0,
    power: float = 0.80,
    confidence: float = 0.90,
    bias_sd: Mapping[str, float] = BIAS_SD,
) -> pl.DataFrame:
    """Return the smallest effect each response's possible designs would detect.

    With σ² = pupil_sd² (1 - prior_r2), in school j t_j places and c_j pupils without one, both a
    year, I = Σ_j t_j c_j / (t_j + c_j) over the schools the design can use, and T = years:

        lottery    se² = σ² / (T · I) / take_up²      schools with more applicants than places; c =
                                                      applicants not drawn
        threshold  in schools where a score decides; the same with each school's I divided by
                   D = 1 / (1 - φ(z)² / (p (1 - p))), p = t / (t + c), z = Φ⁻¹(p): what it costs
                   that the score decides (2.75 at p = .5)
        panel      se²(offer) = (1/years_before + 1/T) (Σ_served V_j / J² + Σ_others V_j / K²),
                   V_j = pupil_sd²/n_j + class_sd² class_pupils/n_j + school_year_sd², of J served
                   and K other schools of n_j tested pupils; per participant divided by the share
                   served, Σt / Σn
        matching   as the lottery, against all other pupils of the served schools

    Years are independent but for the design's bias, which no number of pupils removes: error² = se²
    + bias². mde = (z(1 - (1 - confidence)/2) + z(power)) · se, and the same of the error. At 95 %
    confidence it is the usual 2.80 errors; estimates here are reported at 90 %, so 2.49.

    Args:
        entries: response_id, semel_mosad, is_served (runs there in the years evaluated),
            tested_pupils (of the school in a year), places (participants a year where served; null
            = 0), applicants (eligible pupils who could want a place; null = nobody counted them, so
            no draw), is_by_score (its places are given by a score).
        variances: see `Variances`.
        years: years with the response that are evaluated.
        years_before: years before it, for the panel.
        take_up: share who take part when drawn, less that when not drawn.
        power: probability to detect an effect of the size named.
        confidence: two-sided confidence of the test.
        bias_sd: what each grade can get wrong even with many pupils, pupil SD.

    Returns:
        response_id, design, design_grade, schools (used with the response), comparison_schools (of
        a panel; else 0), treated_pupils, control_pupils (over the years), years, itt_se_sd (effect
        of the offer; of a panel, on all pupils), sampling_se_sd (on who takes part), bias_sd,
        error_sd, mde_sd, mde_with_bias_sd, doubt (`few_schools`: a panel with fewer than five
        served schools, whose error is too optimistic; else null); sorted by response and grade. A
        response with no possible design has one row, design `none`, without figures.

    Raises:
        ValueError: if a key repeats, a count is missing or negative, or an argument is out of
            range.

    Source: domain_methods §2d; Bloom (1995), minimum detectable effects; Schochet (2009), D of
    threshold designs under a normal score; R61, R63.
    """
    if not (years >= 1 and years_before >= 1 and 0 < take_up <= 1):
        raise ValueError("years and years_before must be at least 1, take_up above 0 and at most 1")
    if not (0.5 < power < 1 and 0 < confidence < 1):
        raise ValueError("power must lie between .5 and 1, confidence between 0 and 1")
    entries = _checked(entries)
    noise = variances.pupil_sd**2 * (1 - variances.prior_r2) / years
    cells = entries.with_columns(
        pl.when("is_served").then(pl.col("places").fill_null(0)).otherwise(0).alias("treated"),
        (
            (variances.pupil_sd**2 + variances.class_sd**2 * variances.class_pupils)
            / pl.col("tested_pupils")
            + variances.school_year_sd**2
        ).alias("cell_variance"),
    )
    treated = pl.col("treated")
    drawn = cells.filter(treated > 0, pl.col("applicants") > treated).with_columns(
        (pl.col("applicants") - treated).alias("control")
    )
    share = (treated / pl.col("applicants")).alias("share")
    scored = drawn.filter("is_by_score")
    by_score = scored.with_columns(_threshold_effect(scored.select(share).to_series()))
    unserved = cells.filter(treated > 0, pl.col("tested_pupils") > treated).with_columns(
        (pl.col("tested_pupils") - treated).alias("control")
    )
    possible = pl.concat(
        [
            _within(
                drawn.with_columns(pl.lit(1.0).alias("factor")), "lottery", noise, take_up, years
            ),
            _within(by_score, "threshold", noise, take_up, years),
            _panel(cells, 1 / years_before + 1 / years, years),
            _within(
                unserved.with_columns(pl.lit(1.0).alias("factor")), "matching", noise, 1.0, years
            ),
        ]
    )
    names = entries.select("response_id").unique(maintain_order=True)
    none = names.join(possible, on="response_id", how="anti").with_columns(
        pl.lit("none").alias("design")
    )
    reach = float(norm.ppf(0.5 + confidence / 2) + norm.ppf(power))
    bias = pl.col("design").replace_strict(
        {name: bias_sd.get(grade) for name, grade in GRADES.items()}, return_dtype=pl.Float64
    )
    return (
        pl.concat([possible, none], how="diagonal")
        .with_columns(
            pl.col("design").replace_strict(GRADES).alias("design_grade"),
            bias.alias("bias_sd"),
            (pl.col("sampling_se_sd") ** 2 + bias**2).sqrt().alias("error_sd"),
            pl.lit(years, pl.Int32).alias("years"),
        )
        .with_columns(
            (reach * pl.col("sampling_se_sd")).alias("mde_sd"),
            (reach * pl.col("error_sd")).alias("mde_with_bias_sd"),
            pl.when((pl.col("design") == "panel") & (pl.col("schools") < FEW_SCHOOLS))
            .then(pl.lit("few_schools"))
            .alias("doubt"),
        )
        .sort("response_id", "design_grade")
        .select(
            "response_id",
            "design",
            "design_grade",
            "schools",
            "comparison_schools",
            "treated_pupils",
            "control_pupils",
            "years",
            "itt_se_sd",
            "sampling_se_sd",
            "bias_sd",
            "error_sd",
            "mde_sd",
            "mde_with_bias_sd",
            "doubt",
        )
    )


def still_open(options: pl.DataFrame, tried: pl.DataFrame) -> pl.DataFrame:
    """Return the designs that have not just been tried in vain.

    A design that gave no estimate of any subject gives none again from the same schools, whatever
    its numbers promise. A lottery or a threshold in more schools than were tried is another one.

    Args:
        options: result of `detectable`.
        tried: response_id, subject, design, effect_sd (null = no estimate), schools.

    Returns:
        `options` without those tried in vain; a response that has nothing else keeps one row,
        design `none`, doubt `no_estimate`; in the same order.
    """
    in_vain = (
        tried.group_by("response_id", "design")
        .agg(
            pl.col("effect_sd").is_null().all().alias("is_in_vain"),
            pl.col("schools").max().alias("tried_schools"),
        )
        .filter("is_in_vain")
    )
    is_wider = pl.col("design").is_in(["lottery", "threshold"]) & (
        pl.col("schools") > pl.col("tried_schools")
    )
    joined = options.join(in_vain, on=["response_id", "design"], how="left", maintain_order="left")
    left = joined.filter(pl.col("is_in_vain").is_null() | is_wider).select(options.columns)
    none = options.unique("response_id", keep="first", maintain_order=True).join(
        left, on="response_id", how="anti", maintain_order="left"
    )
    return pl.concat(
        [
            left,
            none.select(
                "response_id",
                pl.lit("none").alias("design"),
                pl.lit(GRADES["none"]).alias("design_grade"),
                "years",
                pl.lit("no_estimate").alias("doubt"),
            ),
        ],
        how="diagonal",
    ).sort("response_id", "design_grade")


def perfect_and_sample_information(
    effects: pl.DataFrame,
    designs: pl.DataFrame,
    *,
    value_per_sd_agorot: int,
    horizon_years: int = 1,
) -> pl.DataFrame:
    """Return the expected values of perfect and of sample information on each response's effect.

    That is what an evaluation is worth before the next decision to fund a response or not.

    A response is worth funding if its effect θ exceeds the break-even b = cost per participant /
    value_per_sd. Today θ ~ N(m, s²) and the choice follows m. With L(u) = φ(u) - u Φ(-u), the
    unit-normal loss, and N = participants · horizon_years, the expected gain of deciding afterwards
    is

        knowing θ exactly            EVPI = N · s · L(|m - b| / s)
        an estimate with error e     EVSI = N · s' · L(|m - b| / s'),   s'² = s² - s₂²

    in pupil SD, times value_per_sd_agorot in money. s₂² is what would be left of s²: 1 / (1/s² +
    1/e²) for a design not yet used. A design of the grade that today's local estimate has brings
    the same bias again, and repeating it only lowers the sampling error: with prior error p and
    both sampling errors e₁, e₂, s₂² = 1 / (1/p² + 1/(bias² + 1/(1/e₁² + 1/e₂²))). EVSI ≤ EVPI, and
    both are greatest where the choice is closest and the money largest. The cost of evaluating is
    not taken off: a lottery among those who apply anyway costs next to nothing.

    Args:
        effects: response_id, effect_sd (m), effect_se_sd (s > 0), prior_se_sd (p), local_se_sd
            (bias included; null = not measured), design_grade (as in the rows "all" of `verdicts`),
            participants, and cost_per_participant_agorot; one row per response.
        designs: result of `detectable`.
        value_per_sd_agorot: what the city would pay to raise one pupil by one SD for a year, for
            example what its last funded choice pays (> 0).
        horizon_years: years over which the decision holds.

    Returns:
        response_id, design, design_grade, break_even_sd, is_funded_now (m > b), p_choice_wrong
        (Φ(-|m - b| / s)), evpi_sd_pupils, evpi_agorot, evsi_sd_pupils, evsi_agorot (null for design
        `none`), mde_sd; sorted by response and grade. Responses without a cost or an effect are
        left out.

    Raises:
        ValueError: if a response repeats, an error is not positive, or an argument is out of range.

    Source: Raiffa & Schlaifer (1961), ch. 5; domain_methods §2g.
    """
    if not (value_per_sd_agorot > 0 and horizon_years >= 1):
        raise ValueError("value_per_sd_agorot must be positive and horizon_years at least 1")
    one_row_each(effects, "response_id", "effects has several rows of one response")
    needed = [
        "effect_sd",
        "effect_se_sd",
        "prior_se_sd",
        "participants",
        "cost_per_participant_agorot",
    ]
    used = pl.when(pl.col("local_se_sd").is_not_null()).then("design_grade").alias("used_grade")
    known = effects.select("response_id", *needed, "local_se_sd", used).drop_nulls(needed)
    every_row(known, pl.col("effect_se_sd") > 0, "every effect needs a positive effect_se_sd")
    asked = designs.select(
        "response_id", "design", "design_grade", "sampling_se_sd", "bias_sd", "error_sd", "mde_sd"
    )
    rows = asked.join(known, on="response_id").sort("response_id", "design_grade")
    spread = rows["effect_se_sd"].to_numpy()
    resolved = np.sqrt(np.maximum(spread**2 - rows.select(_left()).to_series().to_numpy(), 0.0))
    break_even = rows["cost_per_participant_agorot"].to_numpy() / value_per_sd_agorot
    distance = np.abs(rows["effect_sd"].to_numpy() - break_even)
    people = rows["participants"].to_numpy() * horizon_years
    evpi = people * expected_loss(distance, spread)
    evsi = people * expected_loss(distance, resolved)
    return rows.select(
        "response_id",
        "design",
        "design_grade",
        pl.Series("break_even_sd", break_even),
        pl.Series("is_funded_now", rows["effect_sd"].to_numpy() > break_even),
        pl.Series("p_choice_wrong", norm.cdf(-distance / spread)),
        pl.Series("evpi_sd_pupils", evpi),
        pl.Series("evpi_agorot", evpi * value_per_sd_agorot).round().cast(pl.Int64),
        pl.Series("evsi_sd_pupils", evsi).fill_nan(None),
        pl.Series("evsi_agorot", evsi * value_per_sd_agorot).fill_nan(None).round().cast(pl.Int64),
        "mde_sd",
    )


def expected_loss(distance: np.ndarray, spread: np.ndarray) -> np.ndarray:
    """Return E max(0, X - distance) of X ~ N(0, spread²): spread · L(distance / spread)."""
    u = distance / np.maximum(spread, _NOTHING)
    return spread * (norm.pdf(u) - u * norm.sf(u))


def _left() -> pl.Expr:
    """Return the variance of an effect that a further estimate would leave."""
    fresh = 1 / (pl.col("effect_se_sd") ** -2 + pl.col("error_sd") ** -2)
    bias = pl.col("bias_sd") ** 2
    earlier = (pl.col("local_se_sd") ** 2 - bias).clip(_NOTHING)
    both = bias + 1 / (1 / earlier + pl.col("sampling_se_sd") ** -2)
    repeated = 1 / (pl.col("prior_se_sd") ** -2 + 1 / both)
    is_repeated = (pl.col("design_grade") == pl.col("used_grade")).fill_null(False)
    return pl.when(is_repeated).then(repeated).otherwise(fresh)


def evaluate_first(values: pl.DataFrame) -> pl.DataFrame:
    """Return each response with its most informative design, the most valuable evaluation first.

    Args:
        values: result of `perfect_and_sample_information`.

    Returns:
        place (1 = first), and the columns of `values`; one row per response. Equal values: the
        better design grade, then the response's id. A response that no design can inform comes
        last.
    """
    ordered = values.sort(
        "evsi_agorot",
        "design_grade",
        "response_id",
        descending=[True, False, False],
        nulls_last=True,
    ).unique("response_id", keep="first", maintain_order=True)
    return ordered.select(
        pl.int_range(1, pl.len() + 1, dtype=pl.Int32).alias("place"), *values.columns
    )


def evaluation_records(first: pl.DataFrame, entries: pl.DataFrame, *, seed: int) -> pl.DataFrame:
    """Return what must be registered before the year begins, so that the evaluation can be made.

    Args:
        first: result of `evaluate_first`, or the rows of it that are chosen.
        entries: as for `detectable`.
        seed: seed of the year's lotteries; each response draws with its own, made from it and its
            id, so that one response more changes no other draw.

    Returns:
        response_id, design, design_grade, schools (codes, comma-separated, in order: those with
        more applicants than places for a lottery or threshold, else those served), schools_count,
        places, applicants (null where not all are counted), seed (null unless drawn); in the order
        of `first`. Responses without a possible design are left out.

    Raises:
        ValueError: as for `detectable`.

    Source: R63.
    """
    entries = _checked(entries).filter("is_served", pl.col("places") > 0)
    chosen = first.filter(pl.col("design") != "none").select(
        "response_id", "design", "design_grade"
    )
    is_scarce = (pl.col("applicants") > pl.col("places")).fill_null(False)
    can_be_used = {"lottery": is_scarce, "threshold": is_scarce & pl.col("is_by_score")}
    used = chosen.join(entries, on="response_id", maintain_order="left_right").filter(
        *((pl.col("design") != design) | holds for design, holds in can_be_used.items())
    )
    drawn = {
        name: lottery_seed(seed, name)
        for name in chosen.filter(pl.col("design") == "lottery")["response_id"]
    }
    return used.group_by("response_id", "design", "design_grade", maintain_order=True).agg(
        pl.col("semel_mosad").str.join(",").alias("schools"),
        pl.len().cast(pl.Int32).alias("schools_count"),
        pl.col("places").sum().cast(pl.Int64),
        pl.when(pl.col("applicants").null_count() == 0)
        .then(pl.col("applicants").sum())
        .cast(pl.Int64)
        .alias("applicants"),
        pl.col("response_id")
        .first()
        .replace_strict(drawn, default=None, return_dtype=pl.Int64)
        .alias("seed"),
    )


def _within(
    cells: pl.DataFrame, design: str, noise: float, take_up: float, years: int
) -> pl.DataFrame:
    """Return the error of a comparison of pupils inside the same schools."""
    treated, control = pl.col("treated"), pl.col("control")
    information = (treated * control / (treated + control) / pl.col("factor")).sum()
    return cells.group_by("response_id", maintain_order=True).agg(
        pl.lit(design).alias("design"),
        pl.len().cast(pl.Int32).alias("schools"),
        pl.lit(0, pl.Int32).alias("comparison_schools"),
        (treated.sum() * years).cast(pl.Int64).alias("treated_pupils"),
        (control.sum() * years).cast(pl.Int64).alias("control_pupils"),
        (noise / information).sqrt().alias("itt_se_sd"),
        ((noise / information).sqrt() / take_up).alias("sampling_se_sd"),
    )


def _panel(cells: pl.DataFrame, periods: float, years: int) -> pl.DataFrame:
    """Return the error of school means against other schools, before and after."""
    served, pupils = pl.col("is_served"), pl.col("tested_pupils")
    schools, others = served.sum(), (~served).sum()
    variance = pl.col("cell_variance").filter(served).sum() / schools**2
    variance += pl.col("cell_variance").filter(~served).sum() / others**2
    error = (periods * variance).sqrt()
    return (
        cells.group_by("response_id", maintain_order=True)
        .agg(
            pl.lit("panel").alias("design"),
            schools.cast(pl.Int32).alias("schools"),
            others.cast(pl.Int32).alias("comparison_schools"),
            (pl.col("treated").sum() * years).cast(pl.Int64).alias("treated_pupils"),
            (pupils.filter(~served).sum() * years).cast(pl.Int64).alias("control_pupils"),
            error.alias("itt_se_sd"),
            (error * pupils.filter(served).sum() / pl.col("treated").sum()).alias("sampling_se_sd"),
        )
        .filter(
            (pl.col("schools") >= 2)
            & (pl.col("comparison_schools") >= 2)
            & (pl.col("treated_pupils") > 0)
        )
    )


def _threshold_effect(share: pl.Series) -> pl.Series:
    p = share.to_numpy()
    return pl.Series(
        "factor", 1 / (1 - norm.pdf(norm.ppf(p)) ** 2 / (p * (1 - p))), dtype=pl.Float64
    )


def _checked(entries: pl.DataFrame) -> pl.DataFrame:
    one_row_each(entries, _PLACE, "entries repeat by response and school")
    every_row(
        entries,
        pl.all_horizontal(pl.col("is_served", "is_by_score").is_not_null())
        & (pl.col("tested_pupils") > 0)
        & (pl.col("places").fill_null(0) >= 0),
        "entries without is_served, is_by_score, tested pupils above 0, or with fewer places than"
        " 0",
        key=_PLACE,
    )
    return entries.sort(_PLACE)
