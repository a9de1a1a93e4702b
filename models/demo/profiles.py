"""The cities that can be generated: one table of schools, several truths."""

from __future__ import annotations

from dataclasses import dataclass

from models.demo import spec


@dataclass(frozen=True)
class Profile:
    """How one profile departs from the clean city.

    Attributes:
        labels: schools of the table that exist.
        copies: how often the table is repeated (jittered from the second copy on).
        school_factor: multiplies the spread between schools (u, v).
        slope_factor: multiplies the slopes on nurture and the gaps of pupil groups.
        effect_factor: multiplies all programme effects.
        has_causes: whether the six causes are planted.
        shift: added to every score, in SD.
        low_schools, low_shift: these schools are shifted further.
        math_shift: added in mathematics everywhere.
    """

    name: str
    labels: tuple[str, ...] = tuple(school.label for school in spec.SCHOOLS)
    copies: int = 1
    school_factor: float = 1.0
    slope_factor: float = 1.0
    effect_factor: float = 1.0
    has_causes: bool = False
    shift: float = 0.0
    low_schools: tuple[str, ...] = ()
    low_shift: float = 0.0
    math_shift: float = 0.0


# Where the shape of the gap is planted, ordinary differences between schools are halved:
# otherwise every city would also have its own handful of low schools.
PROFILES = {
    profile.name: profile
    for profile in (
        Profile("clean", has_causes=True),
        Profile("small", labels=spec.SMALL_CITY, has_causes=True),
        Profile("null", school_factor=0.0, slope_factor=0.0, effect_factor=0.0),
        Profile("systemic", school_factor=0.5, slope_factor=0.5, shift=-0.6),
        Profile(
            "local",
            school_factor=0.5,
            slope_factor=0.5,
            shift=0.15,
            low_schools=("S11", "R03", "U02"),
            low_shift=-0.8,
        ),
        Profile("one_subject", school_factor=0.5, slope_factor=0.5, shift=0.15, math_shift=-0.7),
        Profile("x10", copies=10, has_causes=True),
    )
}


def profile_named(name: str) -> Profile:
    """Return a profile.

    Raises:
        ValueError: naming the known profiles, if there is no such profile.
    """
    if name not in PROFILES:
        raise ValueError(f"unknown profile '{name}'; known profiles: {', '.join(PROFILES)}")
    return PROFILES[name]
