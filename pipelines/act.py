"""Stage `act`: who does what when, and who is told. Findings are put in words and a release is published."""

from datetime import timedelta
from pathlib import Path

import dagster as dg
import polars as pl

from pipelines.city import CityFolder
from pipelines.fields import dictionary
from pipelines.findings import main_findings
from pipelines.publish.build import audit_release, build_release
from pipelines.publish.release import publish
from pipelines.publish.report import ReportContext
from pipelines.publish.suppression import Thresholds
from pipelines.tables import FRESHNESS, OWNERS, POOL, Step, Tables, asset_key
from pipelines.warehouse import Warehouse
from pipelines.workspace import Workspace

RELEASE = dg.AssetKey(["published", "release"])
MARTS = tuple(name for name in dictionary().tables if name.startswith("mart_"))


def findings(city: CityFolder, tables: Tables) -> Tables:
    """Return the main findings in words."""
    return {"mart_finding": main_findings(tables)}


STEPS = (
    Step(
        "findings",
        "act",
        makes=("mart_finding",),
        reads=(
            "mart_gap_school", "mart_need_index", "mart_allocation_school", "mart_allocation_certificate",
            "mart_response_map", "mart_response", "mart_not_measured",
        ),
        compute=findings,
    ),
)  # fmt: skip
