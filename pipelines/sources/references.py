"""What the rows of a city's files are held against: its responses, goals, scales and releases."""

from __future__ import annotations

from pathlib import Path

from pipelines.settings.city import CityError, CityFolder
from pipelines.sources.files import REGISTRY, read_source
from pipelines.sources.quarantine import References, references_of


def city_references(
    city: CityFolder, releases: tuple[str, ...] | None = None, kept: Path | None = None
) -> References:
    """Return what a city knows of its responses, goals, scales and published releases."""
    years = city.city.school_years.all()
    try:
        responses = read_source(city, REGISTRY, years).rows["response_id"].drop_nulls()
        goals = read_source(city, "aim__goals", years).rows["goal_id"].drop_nulls()
    except CityError:
        # The source's own loading says what is wrong with the file.
        return references_of(city, (), (), releases, kept)
    return references_of(city, tuple(responses), tuple(goals), releases, kept)
