"""The published release as an asset: built, audited and made current, or not at all."""

import shutil
from pathlib import Path

import dagster as dg

from pipelines.publish.build import audit_release, build_release
from pipelines.publish.drift import quality_drift
from pipelines.publish.pages.base import ReportContext
from pipelines.publish.release import publish
from pipelines.publish.suppression import Thresholds
from pipelines.publish.words import hebrew_year
from pipelines.settings.city import CityFolder
from pipelines.settings.fields import dictionary
from pipelines.settings.scenario_files import FOLDER as SCENARIOS
from pipelines.settings.scenario_files import scenario_files
from pipelines.settings.workspace import Workspace
from pipelines.sources.fingerprint import fingerprints, release_before
from pipelines.warehouse.database import Warehouse
from pipelines.warehouse.tables import FRESHNESS, OWNERS, POOL, asset_key

RELEASE = dg.AssetKey(["published", "release"])
# Made while publishing, as it compares with the release before.
DRIFT = "mart_quality_drift"
MARTS = tuple(name for name in dictionary().tables if name.startswith("mart_") and name != DRIFT)


def context_of(city: CityFolder) -> ReportContext:
    """Return what the pages say about the city."""
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
    )


@dg.asset(
    key=RELEASE,
    deps=[asset_key(name) for name in MARTS],
    description=(
        "The published release: marts, workbook, report and quality page of each audience, made"
        " current by one atomic rename after an audit."
    ),
    group_name="act",
    owners=OWNERS,
    kinds={"html", "xlsx", "parquet"},
    pool=POOL,
    freshness_policy=FRESHNESS,
)
def release(workspace: Workspace, warehouse: Warehouse) -> dg.MaterializeResult:
    """Build, audit and publish; on any failure the last good release stays."""
    city = workspace.city()
    tables = warehouse.tables(MARTS)
    work, marts = Path(workspace.work_folder), Path(workspace.marts_folder)
    tables[DRIFT] = quality_drift(tables, release_before(work, marts, fingerprints(city)))
    policy = city.policy.suppression
    thresholds = Thresholds(policy.mean_pupils.value, policy.count_pupils.value)
    context = context_of(city)

    def build(folder: Path) -> None:
        build_release(folder, tables, context, thresholds)
        for name in ("city.yaml", "policy.yaml"):
            shutil.copyfile(city.folder / name, folder / "analyst" / name)
        for path in scenario_files(city.folder):
            (folder / "analyst" / SCENARIOS).mkdir(exist_ok=True)
            shutil.copyfile(path, folder / "analyst" / SCENARIOS / path.name)

    published = publish(
        marts,
        build,
        lambda folder: audit_release(folder, context, thresholds),
        about={"city_id": city.city.city.id, "scope": city.city.scope.name},
    )
    return dg.MaterializeResult(
        metadata={
            "release": published.name,
            "scope": city.city.scope.name,
            "report": dg.MetadataValue.path(str(published / "committee" / "report.html")),
            "dagster/row_count": sum(frame.height for frame in tables.values()),
        }
    )
