"""Plans for a generated city, made as `make run` makes them, and what they are worth by the truth.

The tables that the steps `gaps`, `need`, `effects` and `allocate_plan` read are made in memory,
without files, SQL or Dagster; `test_allocation_regret` holds the resulting problem against a run of
all that.

**The truth.** A school's true gap is its own state (`planted.with_truth`) against the target on the
internal scale, meaned over the pupils of the window. With the true rates of absence, dropout and
safety it makes the true need (`planted_need`), and in the fit to subjects "the probability of being
below target" is 0 or 1. A response's true effect on a subject is its planted effect at full dose,
its pupils of deciles 8–10 counted with theirs, meaned over the pupils of all schools: of what
differs by school and chance alone no plan can know, and `by_school` says what an oracle who knows
it would gain. Overlapping responses count by the policy's shares, in the plans and in the truth
alike. Schools are not pooled here: what they lack together is no table of these steps.
"""

from dataclasses import dataclass, replace

import numpy as np
import polars as pl

from models.allocation import solve
from models.demo import generate, spec
from models.demo.schools import REGISTER_HEADERS
from models.effects import combine, local_estimates
from models.keys import OPTION, PAIR
from pipelines.aim.tables import aim
from pipelines.decide.allocation import unsettled
from pipelines.decide.committee import settled
from pipelines.decide.effects import effects, goal_subjects, priors
from pipelines.decide.goals import subject_fit
from pipelines.diagnose.gaps import gaps
from pipelines.diagnose.need import need
from pipelines.settings.city import CityFolder
from pipelines.settings.keys import AGOROT, MUNICIPAL
from pipelines.settings.policy import GoalTests
from pipelines.sources.admission import hash_ids
from pipelines.warehouse.tables import nothing
from tests.validation.expectations import expected
from tests.validation.planted import cells_of, with_truth
from tests.validation.planted_effects import tables_of as effect_tables
from tests.validation.planted_need import true_need

KEY = ["response_id", "subject"]
CERTAIN = 1e-9  # SD of the error of a gap that is known
RANDOM_PLANS = 1  # drawn anew in every city
EQUAL_GAP_PCT = 1.0  # worth of a random choice: a nearer proof would prove nothing


@dataclass(frozen=True)
class Planned:
    """One generated city: what the steps read and made, and the true need and effects.

    Attributes:
        city: its settings and policy.
        tables: what `problem` reads, from the city's data.
        designs: mart_effect_design, for other priors.
        truth: the same tables with the true need, gaps and effects.
        by_school: semel_mosad, response_id, subject, effect_sd: true in that very school.
    """

    city: CityFolder
    tables: dict[str, pl.DataFrame]
    designs: pl.DataFrame
    truth: dict[str, pl.DataFrame]
    by_school: pl.DataFrame

    def problem(self, tables):
        """Return the city's problem as the pipeline makes it.

        The committee's amounts are those of the city's own data, whatever else is known: no plan
        that is compared decides on them.
        """
        return self._with_amounts(unsettled(self.city, tables))

    def before(self, tables, *, has_amounts=False):
        """Return the problem as it was before goals and evidence: every effect counts.

        No amount was the committee's then; with them, what is compared is the choice alone.
        """
        posed = unsettled(counting_all(self.city), tables)
        return self._with_amounts(posed) if has_amounts else posed

    def _with_amounts(self, posed):
        held, _ = settled(self.city, self.tables, unsettled(self.city, self.tables))
        return replace(posed, rules=(*posed.rules, *held))

    def with_effects(self, effect):
        """Return the city's problem as it would be with other effects."""
        return self.problem(self.tables | {"mart_effect": effect})

    def solved(self, given, gap_pct):
        """Return the options that a problem's best plan buys."""
        limit = self.city.policy.solver.time_limit_s.value
        return solve(given, gap_pct=gap_pct, time_limit_s=limit).lines.select(OPTION)


def planned_city(city, seed, profile="clean"):
    """Return a generated city under the policy of `city`, as far as the allocation needs it."""
    city = without_pooling(city)
    made = generate(seed, profile)
    tables = core_tables(city, made)
    tables |= gaps(city, tables)
    tables |= need(city, tables)
    found = effects(without_groups(city), hashed(effect_tables(made)))
    tables |= {name: found[name] for name in ("mart_effect", "mart_verdict")}
    gap = true_gaps(tables, made)
    by_school = true_effects(made)
    truth = tables | {"mart_gap_school": gap}
    true = true_need(city, tables, made, gap).index
    truth["mart_need_index"] = tables["mart_need_index"].drop("need").join(true, on="semel_mosad")
    pupils = tables["mart_need_index"].select("semel_mosad", "pupils")
    mean = (pl.col("effect_sd") * pl.col("pupils")).sum() / pl.col("pupils").sum()
    truth["mart_effect"] = (
        by_school.join(pupils, on="semel_mosad")
        .sort(*KEY, "semel_mosad")
        .group_by(KEY, maintain_order=True)
        .agg(mean.alias("effect_sd"))
        .with_columns(effect_se_sd=0.0, is_measured=True, transport_discount=1.0)
    )
    return Planned(city, tables, found["mart_effect_design"], truth, by_school)


def without_pooling(city):
    """Return the city without shared responses."""
    rules = city.policy.rules.model_copy(update={"pooling": None})
    return city.model_copy(update={"policy": city.policy.model_copy(update={"rules": rules})})


def counting_all(city):
    """Return the city as it was before: every registered effect is a goal's and no assumption."""
    responses = {
        name: item.model_copy(
            update={
                "goal_tests": (
                    GoalTests(subjects=tuple(item.effects), source="assumed", reason="as before")
                    if item.effects
                    else None
                ),
                "effect_source": next(iter(city.policy.works)),
                "effect_about": "this_kind",
            }
        )
        for name, item in city.policy.responses.items()
    }
    policy = city.policy.model_copy(update={"responses": responses})
    return city.model_copy(update={"policy": policy})


def without_groups(city):
    """Return the city without the effects on groups of pupils: half the work, and no plan reads
    them.
    """
    policy = city.policy.effects.model_copy(update={"groups": ()})
    return city.model_copy(update={"policy": city.policy.model_copy(update={"effects": policy})})


def hashed(tables):
    """Return the tables with ids as the door writes them: their order decides the folds of the
    matching.
    """
    return {
        name: (
            frame.with_columns(hash_ids(frame["pupil_hash"], is_synthetic=True))
            if "pupil_hash" in frame.columns
            else frame
        )
        for name, frame in tables.items()
    }


def core_tables(city, made):
    """Return core tables of a generated city as the SQL makes them, where these steps read them."""
    old, new = made.files["merges.csv"].columns[:2]
    moved = dict(made.files["merges.csv"].select(old, new).iter_rows())

    def all_years(name):
        rows = pl.concat([made.files[f"{name}_{year}.csv"] for year in made.years])
        return rows.with_columns(pl.col("semel_mosad").replace(moved))

    year = ["semel_mosad", "school_year"]
    register = _register(made, moved)
    money = (
        all_years("school_money")
        .group_by(year)
        .agg((pl.col("gefen_nis") * AGOROT).round().cast(pl.Int64).sum().alias("gefen_agorot"))
    )
    absent = (
        all_years("attendance")
        .group_by(year)
        .agg(
            pl.len().alias("attendance_pupils"),
            (pl.col("absence_days") * 10 >= pl.col("school_days"))
            .sum()
            .alias("chronic_absence_pupils"),
        )
    )
    gone = (
        all_years("exits")
        .filter(pl.col("destination") == "unknown")
        .group_by(year)
        .agg(pl.len().alias("overt_dropout_pupils"))
    )
    climate = (
        all_years("climate")
        .group_by(*year, "facet")
        .agg(
            (pl.col("agree_pct") * pl.col("respondents")).sum() / pl.col("respondents").sum(),
            pl.col("respondents").sum(),
        )
    )
    stated = aim(city, {name: nothing(name) for name in ("stg_aim__goals", "stg_aim__targets")})
    schools = made.truth["true_need"].select(
        "semel_mosad",
        pl.col("label").alias("school_name_he"),
        "stream",
        pl.lit(True).alias("is_in_plan"),
    )
    known = register.join(money, on=year, how="left").with_columns(
        pl.lit(False).alias("nurture_index_is_imputed")
    )
    latest_delivery = all_years("delivery").filter(pl.col("school_year") == made.years[-1])
    served = latest_delivery.filter(pl.col("participants") > 0)
    latest = known.filter(pl.col("school_year") == made.years[-1])
    return {
        "core_city": stated["core_city"],
        "core_response": stated["core_response"],
        "core_school": schools,
        "core_school_year": known,
        "mart_planned_pupils": schools.join(
            latest.select("semel_mosad", "pupils", last_registered_pupils="pupils").with_columns(
                planned_by=pl.lit("last_register")
            ),
            on="semel_mosad",
        ),
        "core_attendance": (
            absent.join(gone, on=year, how="left").with_columns(
                pl.col("overt_dropout_pupils").fill_null(0)
            )
        ),
        "core_climate": climate,
        "core_gap_cell": (
            cells_of(made).with_columns(
                pl.col("grade", "school_year", "tested_pupils").cast(pl.Int32),
                pl.lit("all").alias("group_id"),
                pl.lit(True).alias("is_measured"),
                pl.lit(False).alias("tested_pupils_is_imputed"),
                pl.lit(None, pl.Int32).alias("listed_pupils"),
            )
        ),
        "mart_asset": (
            made.files["assets.csv"].with_columns(
                pl.col("capacity_pupils").cast(pl.Int32),
                pl.col("hours_per_week", "hours_free_per_week").cast(pl.Float64),
            )
        ),
        "mart_decision": (
            made.files["decisions.csv"].with_columns(pl.col("planning_year").cast(pl.Int32))
        ),
        "core_decision": decision_log(made),
        "core_confirmation": nothing("core_confirmation"),
        "mart_last_plan": last_plan(
            made,
            all_years("budget"),
            stated["core_response"].filter(~pl.col("is_city_service")),
            "semel_mosad",
        ),
        "mart_last_line": last_plan(
            made, all_years("budget"), stated["core_response"], ["response_id", "funding_channel"]
        ),
        "core_city_service": city_services(city, made, stated["core_response"], latest_delivery),
        "mart_parents_payment": parents_payments(
            all_years("parents_payments"), register, stated["core_response"]
        ),
        "mart_effect_absence": nothing("mart_effect_absence"),
        **{
            name: nothing(name)
            for name in ("mart_design_option", "mart_pooling_set", "mart_pooling_school")
        },
        "core_band_cell": nothing("core_band_cell"),  # every band of a generated city has its score
        "core_scale_link": nothing("core_scale_link"),  # only carries gaps across scales
        "mart_response_map": (
            schools.select("semel_mosad")
            .join(stated["core_response"], how="cross")
            .join(latest.select("semel_mosad", "nurture_index"), on="semel_mosad")
            .join(
                served.select(*PAIR).unique().with_columns(pl.lit(True).alias("is_served")),
                on=PAIR,
                how="left",
            )
            .select(
                *PAIR,
                pl.lit(True).alias("is_measured"),
                pl.col("is_served").fill_null(False),
                (
                    pl.col("nurture_index_min").is_null()
                    | (pl.col("nurture_index") >= pl.col("nurture_index_min"))
                ).alias("is_eligible"),
                "eligibility_reason_en",
                "eligibility_reason_he",
            )
            .sort(PAIR)
        ),
    }


def decision_log(made):
    """Return core_decision of a city whose committee decides on responses alone."""
    decided = made.files["decisions.csv"].with_columns(pl.col("planning_year").cast(pl.Int32))
    return pl.concat(
        [
            nothing("core_decision"),
            decided.select(
                "planning_year",
                "response_id",
                decision_id=pl.format("decisions/{}/{}", "planning_year", "response_id"),
                decision_kind=pl.lit("response"),
                decision_value="decision",
                decision_reason="reason",
                decided_by_role="decided_by",
                decided_on="decided_on",
                is_in_force=pl.lit(True),
            ),
        ],
        how="diagonal",
    )


def last_plan(made, budget, responses, key):
    """Return mart_last_plan or mart_last_line: what the last year planned for the responses that
    are decided on, by school or by response.
    """
    decided = budget.filter(pl.col("school_year") == made.years[-1]).join(
        responses.filter("is_allocated"), on="response_id", how="semi"
    )
    amount = (pl.col("plan_nis").cast(pl.Float64) * AGOROT).round().cast(pl.Int64)
    return decided.group_by(key).agg(amount.sum().alias("last_year_agorot"))


def city_services(city, made, responses, delivered):
    """Return core_city_service, where the plan reads it: places kept, and what was decided."""
    placed = delivered.group_by("response_id").agg(placed=pl.col("participants").sum())
    decided = (
        made.files["decisions.csv"]
        .filter(planning_year=city.planning_year)
        .select("response_id", "decision")
    )
    few = city.policy.suppression.count_pupils.value
    kept = pl.when(pl.col("placed") > 0).then(pl.col("placed").clip(lower_bound=few))
    return (
        responses.filter("is_city_service")
        .join(placed, on="response_id", how="left")
        .join(decided, on="response_id", how="left")
        .select("response_id", "decision", places_kept=kept.otherwise("placed"))
    )


def parents_payments(paid, register, responses):
    """Return mart_parents_payment, where the plan reads it: each school's payments together."""
    whole = responses.filter("is_city_service").select("response_id")
    return (
        paid.join(whole, on="response_id", how="anti")
        .group_by("semel_mosad", "school_year")
        .agg(paid_agorot=(pl.col("paid_nis") * AGOROT).round().cast(pl.Int64).sum())
        .join(register, on=["semel_mosad", "school_year"])
        .select(
            "paid_agorot",
            "pupils",
            "school_year",
            place="semel_mosad",
            response_id=pl.lit("all"),
            small_pupils=pl.lit(None, pl.Int32),
        )
    )


def _register(made, moved):
    """Return semel_mosad, school_year, pupils and nurture_index, codes that merged together."""
    names = {
        REGISTER_HEADERS[name]: name for name in ("semel_mosad", "school_year", "pupils", "nurture")
    }
    rows = pl.concat([made.files[f"schools_{year}.xlsx"] for year in made.years])
    size = pl.col("pupils").cast(pl.Float64)
    return (
        rows.select(pl.col(header).alias(name) for header, name in names.items())
        .with_columns(pl.col("semel_mosad").replace(moved))
        .group_by("semel_mosad", "school_year")
        .agg(
            ((pl.col("nurture") * size).sum() / size.sum()).alias("nurture_index"),
            pl.col("pupils").sum().cast(pl.Int32),
        )
    )


def true_gaps(tables, made):
    """Return mart_gap_school as it would be if every school's own state were known."""
    first, last = tables["core_city"].select("window_first_year", "window_last_year").row(0)
    stage = ["semel_mosad", "subject", "grade", "school_year"]
    every = made.truth["true_gap_grade"].filter(
        pl.col("group_id") == "all", pl.col("school_year").is_between(first, last)
    )
    states = with_truth(every.select(*stage, pl.lit(spec.INTERNAL_SCALE).alias("scale_id")), made)
    size = pl.col("pupils").cast(pl.Float64)
    return (
        states.sort(stage)
        .group_by("semel_mosad", "subject", maintain_order=True)
        .agg(
            ((pl.col("truth") * size).sum() / size.sum()).alias("gap_sd"),
            pl.col("pupils").sum().cast(pl.Int32).alias("tested_pupils"),
        )
        .with_columns(
            pl.lit(CERTAIN).alias("gap_se_sd"),
            pl.lit(True).alias("is_measured"),
            (pl.col("gap_sd") > 0).cast(pl.Float64).alias("p_below_target"),
        )
    )


def true_effects(made):
    """Return the true effect at full dose of each response on each subject in each school."""
    last = made.files[f"pupils_{made.years[-1]}.csv"]
    weak = last.group_by("semel_mosad").agg(
        (pl.col("nurture_decile") >= spec.WEAK_DECILE).mean().alias("weak")
    )
    return (
        made.truth["true_effect"]
        .join(weak, on="semel_mosad")
        .select(
            "semel_mosad",
            *KEY,
            pl.col("effect_sd") + pl.col("weak") * (pl.col("effect_weak_sd") - pl.col("effect_sd")),
        )
    )


def worth(planned, options, effect):
    """Return what each option is truly worth: its key, benefit_sd_pupils, true_benefit
    (need-weighted).

    True need weight × participants × share of the full benefit × share in the years looked at ×
    mean over subjects of fit × effect. An effect that does harm counts as harm.

    Args:
        planned: the city with its truth.
        options: the options of its problem.
        effect: subject, response_id, effect_sd; by semel_mosad too, or the same in every school.
    """
    truth = planned.problem(planned.truth)
    fit = subject_fit(planned.truth)
    on = [name for name in ("semel_mosad", "subject") if name in effect.columns]
    gain = (
        fit.join(effect, on=on)
        .sort(*PAIR, "subject")
        .group_by(PAIR, maintain_order=True)
        .agg((pl.col("effect_sd") * pl.col("fit")).sum() / fit["subject"].n_unique())
        .rename({"effect_sd": "gain_sd"})
    )
    share = pl.col("dose").replace_strict(planned.city.policy.dose_response.value)
    weight = (truth.need_offset + pl.col("need")) ** truth.equity_gamma
    return (
        options.select(*OPTION, "dose", "participants", "lasting_share")
        .join(gain, on=PAIR, how="left")
        .join(truth.schools.select("semel_mosad", "need"), on="semel_mosad")
        .with_columns(
            (
                pl.col("participants")
                * share
                * pl.col("lasting_share")
                * pl.col("gain_sd").fill_null(0)
            ).alias("benefit_sd_pupils")
        )
        .select(
            *OPTION,
            "benefit_sd_pupils",
            (weight * pl.col("benefit_sd_pupils")).alias("true_benefit"),
        )
    )


def counted(planned, bought):
    """Return what a plan's options are worth together: of an overlap group the largest in full,
    others in part.
    """
    shares = [
        (response_id, overlap_id, group.counted_share.value)
        for overlap_id, group in planned.city.policy.overlaps.items()
        for response_id in group.responses
    ]
    of_group = pl.DataFrame(
        shares,
        schema={"response_id": pl.String, "overlap_id": pl.String, "share": pl.Float64},
        orient="row",
    )
    good = pl.col("true_benefit")
    held = bought.join(of_group, on="response_id", how="left").sort(OPTION)
    useful = held.filter(pl.col("overlap_id").is_not_null(), good > 0)
    spared = useful.group_by("semel_mosad", "overlap_id", "share").agg(
        further=good.sum() - good.max()
    )
    return held["true_benefit"].sum() - ((1 - spared["share"]) * spared["further"]).sum()


def goal_effects(planned, effect):
    """Return the effects on what measures a goal of the response, those alone (R122)."""
    return effect.join(goal_subjects(planned.city), on=KEY, how="semi")


def plans_of(planned, seed):
    """Return the plans that are compared: name -> lines of the plan."""
    tables, city = planned.tables, planned.city
    own = tables["mart_effect"]
    fitted = planned.problem(tables)
    wrong = misled(planned, of_another_response, seed)
    dealt = misled(planned, of_another_subject, seed)
    equal = equal_money(planned, fitted)
    otherwise = {
        f"posterior, {kind}": planned.with_effects(under_expectation(planned, kind, seed))
        for kind in ("right", "neutral")
    }
    was = replace(planned, city=counting_all(city))
    earlier = {
        "": misled(was, lambda known, _: known["prior_sd"], seed),
        ", misled": misled(was, of_another_response, seed),
        ", dealt": misled(was, of_another_subject, seed),
        ", right": under_expectation(was, "right", seed),
        ", neutral": under_expectation(was, "neutral", seed),
    }
    found = otherwise | {
        f"{name}{how}": planned.before(tables | {"mart_effect": effect}, has_amounts=has_amounts)
        for how, effect in earlier.items()
        for name, has_amounts in (("before", False), ("before with amounts", True))
    }
    found |= {
        "oracle of all": planned.before(planned.truth),
        "oracle": planned.problem(planned.truth),
        "posterior": fitted,
        "data_only": planned.with_effects(data_only(own)),
        "data_or_prior": planned.with_effects(data_or_prior(own)),
        "need_blind": replace(fitted, equity_gamma=0.0),
        "prior_only": planned.with_effects(prior_only(own)),
        "equal_by_evidence": replace(equal, equity_gamma=0.0),
        "posterior, misled": planned.with_effects(wrong),
        "prior_only, misled": planned.with_effects(prior_only(wrong)),
        "posterior, dealt": planned.with_effects(dealt),
        "prior_only, dealt": planned.with_effects(prior_only(dealt)),
    }
    exact = worth(planned, fitted.options, goal_effects(planned, planned.by_school))
    options = fitted.options.drop("benefit_sd_pupils").join(exact, on=OPTION)
    known = pl.col("benefit_sd_pupils").clip(lower_bound=0)
    found["oracle by school"] = replace(
        found["oracle"], options=options.drop("true_benefit").with_columns(known)
    )
    plans = {
        name: planned.solved(one, city.policy.solver.gap_pct.value) for name, one in found.items()
    }
    for number in range(RANDOM_PLANS):
        drawn = random_choice(equal, np.random.default_rng([seed, number]))
        plans[f"equal_per_pupil {number}"] = planned.solved(drawn, EQUAL_GAP_PCT)
    return plans


def data_only(effect):
    """The local estimate alone; a response that was not measured is taken to do nothing."""
    return effect.with_columns(pl.col("local_sd").fill_null(0.0).alias("effect_sd"))


def data_or_prior(effect):
    """The local estimate alone where there is one, else the discounted literature: nothing
    combined.
    """
    return prior_only(effect).with_columns(pl.coalesce("local_sd", "effect_sd").alias("effect_sd"))


def prior_only(effect):
    """The discounted literature alone."""
    return effect.with_columns(
        (pl.col("prior_sd") * pl.col("transport_discount")).alias("effect_sd")
    )


def of_another_subject(known, rng):
    """Prior means dealt out anew over responses and subjects, as in `test_effect_claims`."""
    return rng.permutation(known["prior_sd"].to_numpy())


def of_another_response(known, rng):
    """Every response's prior means are those of another one; where that has none, the mean of its
    own.

    Responses are set in a random ring and each takes over from the one before it, so none keeps its
    own. Dealing out single means would mislead less: what a response does over its subjects
    averages out.
    """
    ids = rng.permutation(known["response_id"].unique().sort().to_numpy())
    donor = dict(zip(ids, np.roll(ids, 1), strict=True))
    means = {key[:2]: key[2] for key in known.select(*KEY, "prior_sd").iter_rows()}
    own = dict(known.group_by("response_id").agg(pl.col("prior_sd").mean()).iter_rows())
    return [means.get((donor[r], s), own[donor[r]]) for r, s in known.select(KEY).iter_rows()]


def misled(planned, change, seed):
    """The posterior under prior means that are changed, spreads and discounts as they are."""
    known = priors(planned.city).sort(KEY)
    mean = pl.Series("prior_sd", change(known, np.random.default_rng(seed)))
    designs = planned.designs.rename({"design_sd": "effect_sd", "design_se_sd": "effect_se_sd"})
    local = local_estimates(designs).join(known, on=KEY, how="semi")
    return combine(known.drop("source").with_columns(mean), local)


def under_expectation(planned, kind, seed):
    """The posterior under expectations that are right or neutral (`expectations.expected`)."""
    true = planned.truth["mart_effect"].rename({"effect_sd": "truth"})
    known = priors(planned.city).join(true, on=KEY, how="left")
    known = known.with_columns(pl.col("truth").fill_null(0.0)).sort(KEY)
    designs = planned.designs.rename({"design_sd": "effect_sd", "design_se_sd": "effect_se_sd"})
    local = local_estimates(designs).join(known, on=KEY, how="semi")
    changed = expected(known, kind, np.random.default_rng(seed))
    return combine(changed.drop("source", "truth"), local)


def equal_money(planned, fitted):
    """The problem where schools have the same municipal money per pupil beside what is held anyway.

    Held is what rules and the committee's amounts ask for where nothing is expected of anything.
    """
    budget = fitted.channels.filter(pl.col("funding_channel") == MUNICIPAL)["budget_agorot"].item()
    nothing_good = fitted.options.with_columns(benefit_sd_pupils=pl.lit(0.0))
    asked = planned.solved(replace(fitted, options=nothing_good), EQUAL_GAP_PCT)
    held = (
        fitted.costs.filter(pl.col("funding_channel") == MUNICIPAL)
        .join(asked, on=OPTION, how="semi")
        .group_by("semel_mosad")
        .agg(held=pl.col("amount_agorot").sum())
    )
    rest = budget - held["held"].sum()
    size = pl.col("pupils").cast(pl.Int64)
    caps = fitted.schools.join(held, on="semel_mosad", how="left").select(
        pl.lit(MUNICIPAL).alias("funding_channel"),
        "semel_mosad",
        (pl.col("held").fill_null(0) + size * rest // size.sum()).alias("budget_agorot"),
    )
    return replace(fitted, school_channels=pl.concat([fitted.school_channels, caps]))


def random_choice(equal, rng):
    """Every school spends its equal money on what it likes: a municipal shekel is worth its liking.

    The liking of each school for each response is drawn from 0..1, without need or evidence. The
    plan keeps every rule, so it spends what the rules and the other channels let it spend.
    """
    money = equal.costs.filter(pl.col("funding_channel") == MUNICIPAL)
    pairs = equal.options.select(PAIR).unique().sort(PAIR)
    liking = pairs.with_columns(pl.Series("liking", rng.random(pairs.height)))
    liked = (
        equal.options.join(liking, on=PAIR)
        .join(money.select(*OPTION, "amount_agorot"), on=OPTION, how="left")
        .with_columns(
            (pl.col("liking") * pl.col("amount_agorot").fill_null(0) / AGOROT).alias(
                "benefit_sd_pupils"
            )
        )
        .drop("liking", "amount_agorot")
    )
    return replace(equal, options=liked, equity_gamma=0.0)


def study(city, seed):
    """Return one city's regrets: seed, judge, plan, true_worth, regret.

    `judge` is "by goal" (one true effect of a response in all schools, on what measures its goals),
    "by goal and school" (the same, as planted in that very school) or "by all" (its effects on all
    tests, as plans were judged before).
    """
    planned = planned_city(city, seed)
    plans = plans_of(planned, seed)
    options = planned.problem(planned.tables).options
    rows = []
    for judge, effect, oracle in (
        ("by goal", goal_effects(planned, planned.truth["mart_effect"]), "oracle"),
        ("by goal and school", goal_effects(planned, planned.by_school), "oracle by school"),
        ("by all", planned.truth["mart_effect"], "oracle of all"),
    ):
        value = worth(planned, options, effect)
        truly = {
            name: counted(planned, plan.join(value, on=OPTION)) for name, plan in plans.items()
        }
        drawn = [truly.pop(f"equal_per_pupil {number}") for number in range(RANDOM_PLANS)]
        truly["equal_per_pupil"] = float(np.mean(drawn))
        rows += [(seed, judge, name, got, 1 - got / truly[oracle]) for name, got in truly.items()]
    return pl.DataFrame(
        rows, schema=["seed", "judge", "plan", "true_worth", "regret"], orient="row"
    )
