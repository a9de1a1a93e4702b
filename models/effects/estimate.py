"""What every design returns: an effect with its error, or the reason why there is none."""

from __future__ import annotations

from dataclasses import dataclass

from scipy.stats import norm, t

LEVEL = 0.90  # of every interval
ALPHA = 0.05  # of each check of a design; two checks fail by chance in about one design of ten
# A trend before the start is seen too seldom at .05 (Roth 2022): towards the effect it is doubted
# once chance alone would show as much in 15 designs of a hundred.
TREND_ALPHA = 0.15
FEW_SCHOOLS = 5  # with fewer served ones neither luck nor mean reversion can be told from an effect
# The smallest effect found in 80 of 100 repetitions, in standard errors.
DETECTABLE_ERRORS = float(norm.ppf(0.5 + LEVEL / 2) + norm.ppf(0.80))


@dataclass(frozen=True)
class GroupContrast:
    """How an effect on one group of pupils differs from that on the others, by one design.

    Attributes:
        group_id: the group.
        difference_sd: effect on the group's participants less that on the others, per full dose, in
            pupil SD. A bias that both share is not in it.
        difference_se_sd: its sampling error.
        share: of the dose of the participants compared, how much is the group's.
        treated_pupils: participants of the group who are compared.
    """

    group_id: str
    difference_sd: float
    difference_se_sd: float
    share: float
    treated_pupils: int


@dataclass(frozen=True)
class Estimate:
    """A local estimate of one effect by one design (R61).

    Attributes:
        design_grade: 'A' lottery, 'B' threshold, 'C' panel, 'D' matching, 'E' none.
        effect_sd: effect of a year at full dose on who takes part, in pupil SD; None = no estimate.
        effect_se_sd: its standard error, robust to what the design shares between pupils.
        itt_sd: effect of the offer, whether taken up or not; None where the design has none.
        itt_se_sd: its standard error.
        p_value: two-sided p-value by randomisation or bootstrap; None where neither applies.
        treated_pupils: pupils with the response (units, where the design sees only schools).
        control_pupils: pupils they are compared with.
        clusters: independent units the error rests on (draws, schools or pupils).
        schools: schools whose participants it is of; 0 = not told.
        placebo_sd: the same estimate of something the response cannot have changed (the level
            before it, or a subject it does not teach).
        placebo_se_sd: its standard error.
        mde_sd: smallest true effect found in 80 of 100 repetitions at 90 % confidence.
        shown_bias_sd: how far it may be off by what the design itself shows, such as bounds.
        doubts: codes of what weakens the estimate; see `pipelines` for their words.
        groups: how the effect differs on groups of pupils; empty where the design does not tell.
    """

    design_grade: str
    effect_sd: float | None = None
    effect_se_sd: float | None = None
    itt_sd: float | None = None
    itt_se_sd: float | None = None
    p_value: float | None = None
    treated_pupils: int = 0
    control_pupils: int = 0
    clusters: int = 0
    schools: int = 0
    placebo_sd: float | None = None
    placebo_se_sd: float | None = None
    mde_sd: float | None = None
    shown_bias_sd: float = 0.0
    doubts: tuple[str, ...] = ()
    groups: tuple[GroupContrast, ...] = ()


def widening(freedom: int) -> float:
    """Return by how much an error with few degrees of freedom must grow to be read as normal."""
    return float(t.ppf(0.5 + LEVEL / 2, max(freedom, 1)) / norm.ppf(0.5 + LEVEL / 2))
