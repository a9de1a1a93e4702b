"""The current release published again with its pages drawn anew; its tables stay as they are."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from pipelines.publish.known import of_schools
from pipelines.publish.pages.base import ReportContext
from pipelines.publish.release import hashes, manifest, publish, verify
from pipelines.publish.site import audit_pages, draw_again, draw_from_marts
from pipelines.publish.translations import languages_of
from pipelines.publish.words import hebrew_year
from pipelines.settings.audiences import AUDIENCES
from pipelines.settings.city import CityFolder, load_city
from pipelines.settings.workspace import Workspace
from pipelines.sources.fingerprint import Fingerprints, pages_fingerprint


def draw_pages(workspace: Workspace) -> Path:
    """Publish the current release again with its pages drawn anew; return its folder.

    The pages of single schools cannot be drawn from it. Where there are any, it does not say that
    it was drawn by the code of today, so that the next run draws them all.

    Raises:
        ReleaseError: if there is no current release, or it is not as it was published.
    """
    marts = Path(workspace.marts_folder)
    current = verify(marts)
    said = manifest(current)
    city = workspace.city().within(said.get("scope"))
    origin = {name: said.get(name) for name in ("made_from", "compared_with", "inputs", "code")}
    if origin["made_from"] and not of_schools(current):
        made_from = Fingerprints(**origin["made_from"])
        origin["made_from"] = asdict(made_from.drawn_by(pages_fingerprint(city.folder)))
    report = context_of(city)
    return publish(
        marts,
        lambda folder: draw_again(folder, current, report),
        lambda folder: audit_pages(folder, report),  # the rest is as it was audited
        about=about(city),
        origin=origin,
    )


def draw_known(kept: Path, folder: Path) -> set[str]:
    """Draw a release of former days again from what is kept of it; return what differs.

    Args:
        kept: what is kept of it (`pipelines.publish.known`).
        folder: where it is drawn; it is not there yet.

    Returns:
        the files that are not, byte for byte, as they were published: none as long as the code that
        draws is the same.
    """
    shutil.copytree(kept, folder)
    report = context_of(load_city(folder / "analyst"))
    alone = of_schools(folder)
    for name in AUDIENCES:
        if (folder / name).is_dir() and name not in alone:
            draw_from_marts(folder / name, report)
    return differing(manifest(kept), folder)


def differing(said: Mapping[str, Any], folder: Path) -> set[str]:
    """Return the files of a manifest that a folder lacks or holds otherwise, and those it adds."""
    was, now = said["files"], hashes(folder)
    return {name for name in was.keys() | now.keys() if was.get(name) != now.get(name)}


def about(city: CityFolder) -> dict[str, str]:
    """Return what the manifest says the release is of."""
    return {"city_id": city.city.city.id, "scope": city.city.scope.name}


def context_of(city: CityFolder) -> ReportContext:
    """Return what the pages say about the city.

    Raises:
        CityError: if a file of its translations is broken.
    """
    settings = city.city
    years = settings.school_years
    scope = {"official": "בתי הספר הרשמיים", "all": "כל בתי הספר היסודיים, רשמיים ומוכרים"}[
        settings.scope.name
    ]
    return ReportContext(
        city_name_he=settings.city.name_he,
        is_synthetic=settings.city.is_synthetic,
        reference_year=years.reference,
        planning_year=city.planning_year,
        scope_he=scope,
        data_years_he=f"הנתונים: {hebrew_year(years.first)} עד {hebrew_year(years.last)}",
        notes_he=settings.notes_he,
        languages=languages_of(city),
    )
