"""What is expected of effects, otherwise than a city registers it: a parameter of the claims.

`TIKKUN_EXPECTATIONS` says under which of these every claim about effects is judged:

- registered: the policy's own, if nothing is said
- right: around the truth of the very city, as sure as registered
- neutral: nothing, and as unsure as effects of programmes are wide
- wrong: every response's is that of another
"""

import os

import numpy as np
import polars as pl

KINDS = ("registered", "right", "neutral", "wrong")
KIND = os.environ.get("TIKKUN_EXPECTATIONS", KINDS[0])
WIDE_SD = 0.2  # a medium effect and more, either way (Kraft 2020)
KEY = ["response_id", "subject"]


def expected(known, kind, rng):
    """Return `known` with other expectations.

    Args:
        known: response_id, subject, prior_sd, prior_se_sd, transport_discount, truth.
        kind: one of `KINDS`.
        rng: generator of what is drawn.
    """
    known = known.sort(KEY)
    match kind:
        case "right":
            drawn = rng.normal(known["truth"], known["prior_se_sd"])
            return known.with_columns(
                pl.Series("prior_sd", drawn), pl.lit(1.0).alias("transport_discount")
            )
        case "neutral":
            return known.with_columns(
                pl.lit(0.0).alias("prior_sd"), pl.lit(WIDE_SD).alias("prior_se_sd")
            )
        case "wrong":
            return known.with_columns(pl.Series("prior_sd", rng.permutation(known["prior_sd"])))
    return known


def expecting(city, kind, known, seed):
    """Return a city whose policy expects otherwise; `known` and `kind` as for `expected`."""
    if kind == "registered":
        return city
    rows = expected(known, kind, np.random.default_rng(seed))
    changed = {}
    for response_id, subject, mean, sd, discount in rows.select(
        *KEY, "prior_sd", "prior_se_sd", "transport_discount"
    ).iter_rows():
        changed.setdefault(response_id, {})[subject] = (mean, sd, discount)
    responses = dict(city.policy.responses)
    for response_id, subjects in changed.items():
        response = responses[response_id]
        effects = {
            subject: response.effects[subject].model_copy(update={"mean": mean, "sd": sd})
            for subject, (mean, sd, _) in subjects.items()
        }
        discount = response.transport_discount.model_copy(
            update={"value": next(iter(subjects.values()))[2]}
        )
        responses[response_id] = response.model_copy(
            update={"effects": effects, "transport_discount": discount}
        )
    policy = city.policy.model_copy(update={"responses": responses})
    return city.model_copy(update={"policy": policy})
