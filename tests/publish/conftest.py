"""What the small city published, as the pages are drawn from it."""

import pytest

from pipelines.publish.marts import DATABASE, read_database
from pipelines.publish.redraw import context_of
from pipelines.settings.city import load_city
from tests.publish.layer import Layer


@pytest.fixture(scope="session")
def layer(published):
    """The pages of the committee."""
    return Layer(published.current / "committee")


@pytest.fixture(scope="session")
def tables(published):
    """The marts of the committee."""
    return read_database(published.current / "committee" / DATABASE)


@pytest.fixture(scope="session")
def context(published):
    return context_of(load_city(published.current / "analyst"))
