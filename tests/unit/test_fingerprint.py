"""What a release is made from is part of its fingerprint."""

from pipelines.settings.code import project_files
from pipelines.settings.workspace import PROJECT
from pipelines.sources import fingerprint

# Read by nothing that a release is made of: the demonstration city's own files (a city's files are
# counted where it lies), the list of files that are only fetched, and the papers, which are made of
# a release and stand in none.
BESIDE = ("pipelines/demo/", "pipelines/sources/open_files.yaml", "pipelines/publish/papers/")


def test_every_file_that_a_run_reads_is_counted():
    counted = project_files(fingerprint.CODE) | project_files(fingerprint._PAGES)
    kept = [PROJECT / name for name in ("pipelines", "models", "sql")]
    read = {
        path
        for folder in kept
        for path in folder.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    left = {str(path.relative_to(PROJECT)) for path in read - counted}
    assert {name for name in left if not name.startswith(BESIDE)} == set()
