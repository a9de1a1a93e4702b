"""The papers of the small city, made once."""

import pytest

from pipelines.publish.marts import DATABASE, read_database
from pipelines.publish.papers.make import MEETINGS, make_papers
from pipelines.publish.redraw import context_of
from pipelines.settings.city import load_city


@pytest.fixture(scope="session")
def tables(published):
    return read_database(published.current / "committee" / DATABASE)


@pytest.fixture(scope="session")
def context(published):
    return context_of(load_city(published.current / "analyst"))


@pytest.fixture(scope="session")
def packs(tables, context, published):
    release = published.current.resolve().name
    return {name: describe(tables, context, release) for name, describe in MEETINGS.items()}


@pytest.fixture(scope="session")
def papers(published, tmp_path_factory):
    """The folder of all papers, as `make papers` makes it."""
    city = published.workspace().city()
    return make_papers(tmp_path_factory.mktemp("papers"), published.current.resolve(), city)
