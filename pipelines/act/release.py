"""The published release as an asset: built, audited and made current, or not at all."""

import shutil
from dataclasses import asdict
from pathlib import Path

import dagster as dg
import yaml

from pipelines.publish.audiences import readers_of
from pipelines.publish.build import audit_release, build_release
from pipelines.publish.distribution import distribution
from pipelines.publish.drift import quality_drift
from pipelines.publish.known import published_until
from pipelines.publish.news import NEWS, news
from pipelines.publish.redraw import about, context_of
from pipelines.publish.release import baseline, earlier, publish
from pipelines.publish.remembered import Remembered
from pipelines.publish.suppression import SUPPRESSED, without_few
from pipelines.publish.told import before_by_thresholds
from pipelines.publish.translations import normal_csv, read_translations
from pipelines.settings.fields import dictionary
from pipelines.settings.policy_defaults import whole_policy
from pipelines.settings.scenario_files import FOLDER as SCENARIOS
from pipelines.settings.scenario_files import scenario_files
from pipelines.settings.sent import read_sent
from pipelines.settings.translation_files import FOLDER as TRANSLATIONS
from pipelines.settings.workspace import Workspace
from pipelines.sources.collect import all_years
from pipelines.sources.fingerprint import (
    Fingerprints,
    RunInputs,
    fingerprints_or_none,
    input_hashes,
)
from pipelines.warehouse.assets import FRESHNESS, OWNERS, POOL, asset_key
from pipelines.warehouse.database import Warehouse
from pipelines.warehouse.tables import ANEW

_REMEMBERED = "published"
RELEASE = dg.AssetKey(["published", "release"])
# Made while publishing, as they tell of the release and of the one before.
DRIFT, DISTRIBUTION = "mart_quality_drift", "mart_distribution"
MADE_HERE = (DRIFT, DISTRIBUTION, NEWS, SUPPRESSED)
MARTS = tuple(
    name for name in dictionary().tables if name.startswith("mart_") and name not in MADE_HERE
)
_LISTS = ("stg_act__recipients", "stg_act__receipts", "core_role")


@dg.asset(
    key=RELEASE,
    deps=[asset_key(name) for name in (*MARTS, *_LISTS)],
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
def release(
    context: dg.AssetExecutionContext,
    workspace: dg.ResourceParam[Workspace],
    warehouse: dg.ResourceParam[Warehouse],
    inputs: dg.ResourceParam[RunInputs],
) -> dg.MaterializeResult:
    """Build, audit and publish; on any failure the last good release stays."""
    city = workspace.city()
    tables = warehouse.tables(MARTS)
    marts = Path(workspace.marts_folder)
    made_from = _made_from(context, workspace, warehouse, inputs)
    before = baseline(marts, made_from.whole if made_from else None)
    readers = readers_of(city.policy)
    analysts, releases = readers[0].thresholds, earlier(marts, before)
    without = without_few(tables, "analyst", analysts)
    tables[DRIFT], tables[NEWS] = quality_drift(without, before), news(without, before)
    tables[DISTRIBUTION] = distribution(
        warehouse.tables(_LISTS),
        read_sent(marts),
        published_until(marts, before.name) if before else (),
    )
    told = before_by_thresholds(readers, releases)
    report = context_of(city)
    remembered = Remembered(workspace.memory_path / _REMEMBERED, ANEW in context.run.tags)
    safe = remembered.safe()
    known = set(safe)

    def build(folder: Path) -> None:
        build_release(folder, tables, report, readers, told, safe, remembered)
        whole = whole_policy(city.folder / "policy.yaml").text()
        (folder / "analyst" / "policy.yaml").write_text(whole, encoding="utf-8")
        kept = without_addresses((city.folder / "city.yaml").read_text(encoding="utf-8"))
        (folder / "analyst" / "city.yaml").write_text(kept, encoding="utf-8")
        for path in scenario_files(city.folder):
            (folder / "analyst" / SCENARIOS).mkdir(exist_ok=True)
            shutil.copyfile(path, folder / "analyst" / SCENARIOS / path.name)
        for code, texts in read_translations(city).items():
            (folder / "analyst" / TRANSLATIONS).mkdir(exist_ok=True)
            path = folder / "analyst" / TRANSLATIONS / f"{code}.csv"
            path.write_text(normal_csv(texts), encoding="utf-8")

    published = publish(
        marts,
        build,
        lambda folder: audit_release(folder, report, readers, tables, told, safe),
        about=about(city),
        origin={
            "made_from": asdict(made_from) if made_from else None,
            # Only of a run that answers for all of it: files may have changed under another.
            **(dict(zip(("inputs", "code"), input_hashes(city), strict=True)) if made_from else {}),
            "compared_with": before.name if before else None,
        },
    )
    remembered.keep_safe(safe, known)
    if made_from:
        warehouse.set_made_from(made_from.upstream)
    return dg.MaterializeResult(
        metadata={
            "release": published.name,
            "scope": city.city.scope.name,
            "pages": dg.MetadataValue.path(str(published / "committee" / "index.html")),
            "dagster/row_count": sum(frame.height for frame in tables.values()),
        }
    )


def without_addresses(text: str) -> str:
    """Return the text of city.yaml without `notices:` and `sending:`: who is told, and through
    which server, stands in no release.
    """
    whole = yaml.compose(text, Loader=yaml.SafeLoader)
    for key, value in reversed(whole.value if whole else ()):
        if key.value in ("notices", "sending"):
            text = text[: key.start_mark.index] + text[value.end_mark.index :]
    return text


def _made_from(
    context: dg.AssetExecutionContext,
    workspace: Workspace,
    warehouse: Warehouse,
    inputs: RunInputs,
) -> Fingerprints | None:
    """Return the inputs that this run's release may claim to be made from, if it may.

    A run that goes on from a failed step, or whose inputs changed meanwhile, claims none.
    """
    run = context.run
    made_from = inputs.made_by(
        context.job_def.asset_layer.selected_asset_keys,
        warehouse.made_from_at_start,
        is_every_year=all_years(workspace.city()).items() <= run.tags.items(),
    )
    is_continued = run.parent_run_id is not None
    return None if is_continued or made_from != fingerprints_or_none(workspace) else made_from
