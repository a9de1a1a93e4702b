"""Tickets of schools: how each stands, and which source's owner hears of it (R76).

A correction changes no data. It goes to whoever answers for the files that the number comes from.
"""

from __future__ import annotations

from pipelines import aim, decide, diagnose, review
from pipelines.act import not_measured, plan, voices
from pipelines.settings.city import CityFolder
from pipelines.settings.fields import dictionary
from pipelines.sources.follow_up import cell_parts
from pipelines.warehouse.lineage import sources_behind
from pipelines.warehouse.tables import Step, Tables, table_of

MADE = (
    *aim.STEPS,
    *diagnose.STEPS,
    *decide.STEPS,
    *plan.STEPS,
    *not_measured.STEPS,
    *voices.STEPS,
    *review.STEPS,
)
COMPUTED, _MOST_SOURCES = "computed", 6
"""A number that comes from more sources (a sum of money, an index) is nobody's to correct at
first sight: the analyst of the data finds which of them errs.
"""
_ANALYST = "context"  # the sources that the analyst of the data answers for
# What people decide, say or report has ways of its own to be put right.
_NO_DATA = ("act", "aim", "decide", "voice")


def tickets(city: CityFolder, tables: Tables) -> Tables:
    """Return the tickets and, of each correction, the sources of its cell and their owners.

    A school that was merged is told by the code it has today.
    """
    fields = dictionary().fields
    today = dict(tables["core_city_code"].select("semel_mosad_old", "semel_mosad").iter_rows())
    told, sources = [], []
    for row in tables["stg_act__tickets"].sort("ticket_id").to_dicts():
        mart, _, column = cell_parts(row["ticket_cell"])
        kind, answer = row["ticket_kind"], row["ticket_answer"]
        state = answer or ("confirmed" if kind == "confirm" else "open")
        answered = row["answered_on"]
        ticket = {
            name: row[name] for name in ("ticket_id", "planning_year", "ticket_kind", "asked_on")
        }
        ticket |= {"semel_mosad": today.get(row["semel_mosad"], row["semel_mosad"])}
        ticket |= {"cell_name_he": fields[column].he, "ticket_state": state}
        told.append(
            ticket
            | {"answered_by_role": row["answered_by_role"], "answered_on": answered}
            | {"answer_days": (answered - row["asked_on"]).days if answered else None}
        )
        if kind == "correct":
            shared = ("ticket_id", "semel_mosad", "cell_name_he", "ticket_kind", "ticket_state")
            sources += [
                {name: ticket[name] for name in shared}
                | {"source_id": source_id, "source_name_he": name, "source_owner_he": owner}
                for source_id, name, owner in _sources(city, mart, column)
            ]
    return {
        "mart_ticket": table_of("mart_ticket", told),
        "mart_ticket_source": table_of("mart_ticket_source", sources),
    }


def _sources(city: CityFolder, mart: str, column: str) -> list[tuple[str, str, str]]:
    """Return id, name and owner of the city's sources of a column.

    Where a column is reckoned from none, those of its table count.
    """
    words = dictionary()
    for part in (column, ""):
        found = [
            source_id
            for source_id in sources_behind(mart, part, MADE)
            if source_id in city.city.sources and source_id.partition("__")[0] not in _NO_DATA
        ]
        if 0 < len(found) <= _MOST_SOURCES:
            return [(one, words.source_he(one), words.source_owner(one)) for one in found]
        if found:
            break
    name = f"מחושב מ־{len(found)} קובצי מקור" if found else "מחושב מן המדיניות"
    return [(COMPUTED, name, words.owners[_ANALYST])]


STEPS = (
    Step(
        "tickets",
        "act",
        makes=("mart_ticket", "mart_ticket_source"),
        reads=("stg_act__tickets", "core_city_code"),
        compute=tickets,
    ),
)
