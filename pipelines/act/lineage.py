"""Which sources each published table comes from: the way from a page back to its files (R116)."""

from __future__ import annotations

from pipelines.act import findings, tickets
from pipelines.settings.city import CityFolder
from pipelines.settings.fields import dictionary
from pipelines.warehouse.lineage import sources_behind
from pipelines.warehouse.tables import Step, Tables, table_of


def lineage(city: CityFolder, _: Tables) -> Tables:
    """Return a row for each published table and each source of the city that feeds it.

    Tables that speak of all others, such as the findings of checks, come from every source.
    """
    given, made = set(city.city.sources), (*tickets.MADE, *tickets.STEPS, *findings.STEPS)
    rows = [
        {"table_name": table, "source_id": source}
        for table in dictionary().sheets
        for source in sources_behind(table, "", made)
        if source in given
    ]
    return {"mart_lineage": table_of("mart_lineage", rows)}


STEPS = (Step(name="lineage", stage="act", makes=("mart_lineage",), reads=(), compute=lineage),)
