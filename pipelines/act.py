"""Stage `act`: who does what when, and who is told. Findings are put in words and a release is published."""

import dagster as dg

from pipelines.city import CityFolder
from pipelines.fields import dictionary
from pipelines.findings import main_findings
from pipelines.tables import Step, Tables

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
