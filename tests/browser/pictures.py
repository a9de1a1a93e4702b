"""Where the pictures of a real browser are kept, and how it is started."""

from tests.runs import PROJECT

SCREENSHOTS = PROJECT / "tests" / "screenshots"
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]
