"""Stage `aim`: what do we want, for whom, by which rules. The city's two files become tables."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import polars as pl

from pipelines.settings.city import CityError, CityFolder
from pipelines.settings.fields import dictionary
from pipelines.settings.keys import AGOROT
from pipelines.settings.policy import BandPolicy
from pipelines.warehouse.tables import Step, Tables, table_of


def aim(city: CityFolder, tables: Tables) -> Tables:
    """Return the frame of the plan: identity, scope, goals, responses, scales, targets, counts.

    Goals and targets may stand in `policy.yaml`, in files of the city, or in both if they agree.

    Raises:
        CityError: if a file and the policy state one goal or target differently.
    """
    settings, policy = city.city, city.policy
    last = settings.school_years.last
    subjects = settings.subjects
    rows: dict[str, list[dict[str, Any]]] = {
        "core_city": [
            {
                "city_id": settings.city.id,
                "city_name_he": settings.city.name_he,
                "city_name_en": settings.city.name_en,
                "authority_name": settings.city.authority,
                "covers": settings.city.covers,
                "is_synthetic": settings.city.is_synthetic,
                "scope": settings.scope.name,
                "reference_year": settings.school_years.reference,
                "planning_year": city.planning_year,
                "window_first_year": last - policy.need.window_years.value + 1,
                "window_last_year": last,
                "grades_per_school": settings.grades_per_school,
                "class_design_effect": policy.class_design_effect.value,
            }
        ],
        "core_plan_scope": [
            {"education_stage": stage, "education_type": type_, "legal_status": status}
            for stage in settings.scope.education_stages
            for type_ in settings.scope.education_types
            for status in settings.scope.legal_statuses
        ],
        "core_policy_scale": [
            {
                "scale_id": scale_id,
                "scale_kind": scale.kind,
                "scale_mean": scale.mean,
                "scale_sd": scale.sd,
                "source": scale.source,
                "reason": scale.reason,
            }
            for scale_id, scale in settings.scales.items()
        ],
        "core_group": [
            {
                "group_id": group_id,
                "valid_from_year": version.valid_from,
                "group_name_he": version.name_he,
                "group_dimension": version.dimension,
                "attribute": version.attribute,
                "at_least": version.at_least,
                "at_most": version.at_most,
                "equals": version.equals,
                "source": version.source,
                "reason": version.reason,
            }
            for group_id, versions in policy.groups.items()
            for version in versions
        ],
        "core_cause": [
            {
                "cause_id": cause_id,
                "cause_name_he": cause.name_he,
                "cause_name_en": cause.name_en,
                "cause_measure": cause.measure,
                "expected_sd_per_unit": cause.expected and cause.expected.mean,
                "expected_spread": cause.expected and cause.expected.sd,
                "is_in_power": cause.is_in_power,
                "action_channel": cause.action_channel,
                "themes": ",".join(cause.themes),
                "source": cause.source,
                "reason": cause.reason,
            }
            for cause_id, cause in policy.causes.items()
        ],
        "core_cause_action": [
            {"cause_id": cause_id, "response_id": response_id}
            for cause_id, cause in policy.causes.items()
            for response_id in cause.responses
        ],
        "core_declared_silence": [
            {"source_id": source_id, "semel_mosad": code, "silence_reason": reason}
            for source_id, mappings in settings.sources.items()
            for mapping in mappings
            for code, reason in mapping.not_reporting.items()
        ],
        "core_emergency": [
            {
                "school_year": year,
                "emergency_name_he": emergency.name_he,
                "source": emergency.source,
                "reason": emergency.reason,
            }
            for year, emergency in settings.emergencies.items()
        ],
        "core_source_mapping": [
            {"source_id": source_id, "file_pattern": pattern, "sheet_name": sheet}
            for source_id, mappings in settings.sources.items()
            for pattern, sheet in {
                (mapping.file.replace("{school_year}", "*"), str(mapping.sheet)): None
                for mapping in mappings
                if mapping.format in ("xlsx", "xls")
            }
        ],
        "core_policy_target": [
            {
                "scale_id": scale_id,
                "subject": subject,
                "valid_from": target.valid_from,
                "target_type": target.type,
                "desired_value": target.value,
                "source": target.source,
            }
            for target in policy.targets
            for scale_id in target.scales
            for subject in (subjects if target.subjects == "all" else target.subjects)
        ],
        "core_policy_band": _bands(policy.diagnose.bands),
        "core_expected": [
            {"reconciliation_id": key, "expected_value": float(value)}
            for key, value in settings.expected.items()
        ],
        "core_goal": [
            {"goal_id": goal_id, "goal_name_he": goal.name_he, "goal_name_en": goal.name_en}
            for goal_id, goal in policy.goals.items()
        ],
        "core_response": [
            {
                "response_id": response_id,
                "response_name_he": response.name_he,
                "response_name_en": response.name_en,
                "response_class": response.response_class,
                "action_channel": response.action_channel,
                "goal_id": response.goal,
                "is_goal_measured": bool(policy.goal_subjects(response_id)),
                "horizon": response.horizon,
                "is_excellence": response.is_excellence,
                "is_allocated": response.is_allocated,
                "is_city_service": response.serves == "city",
                "nurture_index_min": (
                    response.eligibility and response.eligibility.nurture_index_min
                ),
                "served_group": response.serves_group,
                "eligibility_reason_he": (response.eligibility and response.eligibility.reason_he),
                "eligibility_reason_en": (response.eligibility and response.eligibility.reason_en),
                "fixed_cost_agorot": round(response.fixed_cost.value * AGOROT),
                "unit_cost_agorot": round(response.unit_cost.value * AGOROT),
                "source": response.fixed_cost.source,
                "reason": response.fixed_cost.reason,
            }
            for response_id, response in policy.responses.items()
        ],
        "core_parameter": [*city.parameters(), *_references()],
    }
    made = {name: table_of(name, content) for name, content in rows.items()}
    for name, staged in _FILES.items():
        made[name] = _with_files(city, name, made[name], tables[staged])
    return made


def _references() -> list[dict[str, str]]:
    """Return the units of reference, which no city decides, as parameters."""
    return [
        {
            "parameter_id": f"reference.{name}",
            "parameter_value": f"{item.value:g} ({item.low:g}–{item.high:g})",
            "unit": item.unit,
            "source": item.source,
            "reason": item.reason,
        }
        for name, item in dictionary().references.items()
    ]


def _bands(policy: BandPolicy | None) -> list[dict[str, Any]]:
    """Return the limits of each band; the lowest and the highest are open."""
    if policy is None:
        return []
    limits = policy.limits_sd
    return [
        {
            "band": band,
            "band_lo_sd": low,
            "band_hi_sd": high,
            "source": limits.source,
            "reason": limits.reason,
        }
        for band, (low, high) in enumerate(pairwise([None, *limits.value, None]), start=1)
    ]


_FILES = {"core_goal": "stg_aim__goals", "core_policy_target": "stg_aim__targets"}
"""What the city may also state in files of its own."""


def _with_files(
    city: CityFolder, name: str, stated: pl.DataFrame, staged: pl.DataFrame
) -> pl.DataFrame:
    """Return the rows of the policy and of the city's file together, each once."""
    key = dictionary().tables[name].key
    both = pl.concat([stated, staged.select(stated.columns)]).unique(maintain_order=True)
    twice = both.filter(pl.struct(key).is_duplicated())
    if not twice.is_empty():
        named = ", ".join("/".join(map(str, row)) for row in twice.select(key).unique().rows())
        raise CityError(
            f"{city.folder / 'policy.yaml'} and the city's file state {named} ({'/'.join(key)})"
            " differently; keep one of the two.",
            f"הקובץ policy.yaml וקובץ העיר סותרים זה את זה ({named}). יש להשאיר אחד מהם.",
        )
    return both


STEPS = (
    Step(
        name="aim",
        stage="aim",
        makes=(
            "core_city",
            "core_plan_scope",
            "core_policy_scale",
            "core_policy_target",
            "core_policy_band",
            "core_expected",
            "core_goal",
            "core_response",
            "core_parameter",
            "core_emergency",
            "core_source_mapping",
            "core_declared_silence",
            "core_group",
            "core_cause",
            "core_cause_action",
        ),
        reads=tuple(_FILES.values()),
        compute=aim,
    ),
)
