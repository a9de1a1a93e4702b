"""Joint draws of what an allocation is not sure of: need, effect, participation and cost (R96)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl

from models.allocation.problem.choices import require
from models.keys import PAIR


@dataclass(frozen=True)
class Spread:
    """How unsure participation and cost are.

    Attributes:
        participation: SD of ln(who takes part ÷ who was planned for), each school and response by
            itself. The money is committed whoever comes.
        cost: SD of ln(cost ÷ planned cost), one figure a response, in all its schools.
    """

    participation: float
    cost: float


def joint_draws(
    needs: pl.DataFrame,
    schools: pl.DataFrame,
    effects: pl.DataFrame,
    *,
    equity_gamma: float,
    need_offset: float,
    spread: Spread,
    seed: int,
) -> pl.DataFrame:
    """Draw what the benefits and costs of a plan depend on, all at once.

    benefit × W(need drawn) ÷ W(need) × Σ w·effect drawn ÷ Σ w·effect × participation, with W(n) =
    (a + n)^γ and w the weights of the subjects in the school. An effect drawn below zero does harm:
    cutting it off would make every doubtful response look better than expected. The subjects of one
    response share one error: the same teachers and children make all of them, and nothing averages
    out, which is the widest case. Participation and cost are log-normal with mean 1. A response
    without expected benefit in a school keeps none: draws scale what is expected, they do not
    invent it.

    Args:
        needs: draw, semel_mosad, need (0..1): joint draws of the needs, as many for each school.
        schools: semel_mosad, need: as the plan takes them.
        effects: semel_mosad, response_id, subject, subject_weight (≥ 0), effect_sd, effect_se_sd (≥
            0).
        equity_gamma: γ of the plan.
        need_offset: a of the plan.
        spread: of participation and cost.
        seed: of effects, participation and cost.

    Returns:
        draw, semel_mosad, response_id, benefit_multiplier, cost_multiplier (> 0), by draw,
        school and response.

    Raises:
        ValueError: empty values or keys twice; a school of `effects` without need or draws.
    """
    require(needs, "needs", ["draw", "semel_mosad", "need"], key=["draw", "semel_mosad"])
    require(schools, "schools", ["semel_mosad", "need"], key=["semel_mosad"])
    figures = ["subject_weight", "effect_sd", "effect_se_sd"]
    require(effects, "effects", [*PAIR, "subject", *figures], key=[*PAIR, "subject"])
    effects = effects.sort(*PAIR, "subject")
    drawn = (
        needs.sort("draw").pivot(on="draw", index="semel_mosad", values="need").sort("semel_mosad")
    )
    numbers = [int(name) for name in drawn.columns[1:]]
    codes = effects["semel_mosad"].unique().sort()
    lacking = sorted(set(codes) - (set(drawn["semel_mosad"]) & set(schools["semel_mosad"])))
    if lacking:
        raise ValueError(f"effects: schools without a need or its draws: {', '.join(lacking[:5])}")
    kept = codes.to_frame()
    planned = kept.join(schools, on="semel_mosad", maintain_order="left")["need"].to_numpy()
    need = kept.join(drawn, on="semel_mosad", maintain_order="left").drop("semel_mosad").to_numpy()
    weight = ((need_offset + need) / (need_offset + planned)[:, None]) ** equity_gamma

    responses = effects["response_id"].unique().sort()
    pairs = effects.select(PAIR).unique(maintain_order=True)
    school = np.searchsorted(codes.to_numpy(), pairs["semel_mosad"].to_numpy())
    response = np.searchsorted(responses.to_numpy(), pairs["response_id"].to_numpy())
    pair = effects.join(pairs.with_row_index("pair"), on=PAIR, maintain_order="left")[
        "pair"
    ].to_numpy()
    share = effects["subject_weight"].to_numpy()
    size = (len(pairs), len(numbers))
    mean = np.bincount(pair, share * effects["effect_sd"].to_numpy(), size[0])
    error = np.bincount(pair, share * effects["effect_se_sd"].to_numpy(), size[0])
    generator = np.random.default_rng(seed)
    half = generator.standard_normal((len(responses), -(-size[1] // 2)))
    luck = np.stack([half, -half], axis=2).reshape(len(responses), -1)[response, : size[1]]
    with np.errstate(divide="ignore", invalid="ignore"):
        gain = 1 + error[:, None] * luck / mean[:, None]
    gain = np.where(mean[:, None] > 0, gain, 1.0)
    taking_part = _around_one(generator, spread.participation, size)
    cost = _around_one(generator, spread.cost, (len(responses), size[1]))[response]
    return pl.DataFrame(
        {
            "draw": np.tile(numbers, size[0]),
            "semel_mosad": pairs["semel_mosad"].to_numpy().repeat(size[1]),
            "response_id": pairs["response_id"].to_numpy().repeat(size[1]),
            "benefit_multiplier": (weight[school] * gain * taking_part).ravel(),
            "cost_multiplier": cost.ravel(),
        }
    ).sort("draw", *PAIR)


def _around_one(generator: np.random.Generator, spread: float, size: tuple[int, int]) -> np.ndarray:
    """Log-normal factors with mean 1."""
    return np.exp(generator.normal(-(spread**2) / 2, spread, size))
