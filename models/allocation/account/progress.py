"""What pupils are expected to gain by a plan: the weak, the middle and the strong (R81).

Success is told first as progress, and a gain above the target is a gain. It asks for effects and
places alone and for no school's score, so that no score that falls can raise it.
"""

from __future__ import annotations

import polars as pl

from models.allocation.problem.choices import refuse, require
from models.keys import WHOLE

BANDS = ("weak", "middle", "strong")
UNKNOWN = "not_known"
_Z90 = 1.6448536269514722


def progress(
    lines: pl.DataFrame, effects: pl.DataFrame, reach: pl.DataFrame, *, pupils: int
) -> pl.DataFrame:
    """Expected progress by band of pupils, with its interval.

    A response is taken to reach the bands as its listed participants did, and to do the same for
    each; the responses' errors are independent, and one within a response. What is bought of
    responses without lists is progress of pupils of no known band.

    Args:
        lines: response_id, participants, exposure (participants × share of the full effect).
        effects: response_id, effect_sd, effect_se_sd: of a participant at full dose.
        reach: response_id, level_band, participants: listed pupils by band; response "all": every
            pupil by band.
        pupils: of the plan's schools.

    Returns:
        level_band (the three, "not_known", "all"), pupils (of the band: `pupils` by the bands'
        sizes; null = not known), participants (places, rounded), banded_participants (that the
        split stands on; null = no lists), progress_sd_pupils with progress_lo_sd_pupils and
        progress_hi_sd_pupils (90 %), and progress_sd with progress_lo_sd and progress_hi_sd: the
        same for each pupil of the band; 0 without lines, null of bands that are not known.

    Raises:
        ValueError: keys twice, empty values, a line without an effect.
    """
    require(lines, "lines", ["response_id", "participants", "exposure"], key=["response_id"])
    require(effects, "effects", ["response_id", "effect_sd", "effect_se_sd"], key=["response_id"])
    require(
        reach,
        "reach",
        ["response_id", "level_band", "participants"],
        key=["response_id", "level_band"],
    )
    refuse("lines", "no effect", lines.join(effects, on="response_id", how="anti"))
    split = reach.filter(pl.col("response_id") != WHOLE).with_columns(
        share=pl.col("participants") / pl.col("participants").sum().over("response_id")
    )
    known = lines.join(split.rename({"participants": "listed"}), on="response_id")
    silent = lines.join(split, on="response_id", how="anti").with_columns(
        level_band=pl.lit(UNKNOWN), share=1.0, listed=None
    )
    whole = lines.with_columns(level_band=pl.lit(WHOLE), share=1.0).join(
        split.group_by("response_id").agg(listed=pl.col("participants").sum()),
        on="response_id",
        how="left",
    )
    columns = ["response_id", "level_band", "participants", "exposure", "share", "listed"]
    gain, error = (
        pl.col("share") * pl.col("exposure") * pl.col(name)
        for name in ("effect_sd", "effect_se_sd")
    )
    summed = (
        pl.concat(
            [frame.select(columns) for frame in (known, silent, whole)], how="vertical_relaxed"
        )
        .join(effects, on="response_id")
        .sort("level_band", "response_id")
        .group_by("level_band")
        .agg(
            participants=(pl.col("share") * pl.col("participants")).sum().round().cast(pl.Int32),
            banded_participants=pl.when(pl.col("listed").count() > 0)
            .then(pl.col("listed").sum())
            .cast(pl.Int32),
            progress_sd_pupils=gain.sum(),
            half=_Z90 * (error**2).sum().sqrt(),
        )
    )
    sizes = reach.filter(response_id=WHOLE).select(
        "level_band", size=pupils * pl.col("participants") / pl.col("participants").sum()
    )
    every = pl.DataFrame({"level_band": [*BANDS, UNKNOWN, WHOLE]})
    told = (
        every.join(
            pl.concat([sizes, pl.DataFrame({"level_band": [WHOLE], "size": [float(pupils)]})]),
            on="level_band",
            how="left",
            maintain_order="left",
        )
        .join(summed, on="level_band", how="left", maintain_order="left")
        .with_columns(
            # Of a band of which there are no pupils known nothing is known; 0 is another thing.
            pl.when(pl.col("size").is_not_null() | (pl.col("level_band") == UNKNOWN))
            .then(pl.col(name).fill_null(0))
            .alias(name)
            for name in ("participants", "progress_sd_pupils", "half")
        )
        .with_columns(
            progress_lo_sd_pupils=pl.col("progress_sd_pupils") - pl.col("half"),
            progress_hi_sd_pupils=pl.col("progress_sd_pupils") + pl.col("half"),
        )
    )
    return told.with_columns(
        pl.col("size").round().cast(pl.Int32).alias("pupils"),
        *(
            (pl.col(f"progress{end}_sd_pupils") / pl.col("size")).alias(f"progress{end}_sd")
            for end in ("", "_lo", "_hi")
        ),
    ).select(
        "level_band",
        "pupils",
        "participants",
        "banded_participants",
        *(f"progress{end}_sd_pupils" for end in ("", "_lo", "_hi")),
        *(f"progress{end}_sd" for end in ("", "_lo", "_hi")),
    )
