"""The browser is that of `tests/browser`."""

from tests.browser.conftest import browser  # noqa: F401
