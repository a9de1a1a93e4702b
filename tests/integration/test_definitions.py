"""What Dagster sees: a snapshot of every key, check, job and schedule, and how they behave."""

from pathlib import Path

import dagster as dg
import pytest

from pipelines.definitions import CHAIN, build
from pipelines.settings.fields import dictionary
from pipelines.settings.workspace import Workspace
from pipelines.sources.collect import RANGE_END, RANGE_START, all_years, school_year, year_key
from pipelines.warehouse import assets
from pipelines.warehouse.assets import as_dagster
from pipelines.warehouse.checks import CheckResult
from pipelines.warehouse.database import Warehouse
from pipelines.warehouse.suites import Check, Says, checks_of
from pipelines.warehouse.tables import STAGES

SNAPSHOT = Path(__file__).parent / "snapshot.txt"


@pytest.fixture(scope="module")
def space(small_city, tmp_path_factory):
    work = tmp_path_factory.mktemp("work")
    return Workspace(
        city_folder=str(small_city),
        marts_folder=str(work / "marts"),
        work_folder=str(work / "work"),
    )


@pytest.fixture(scope="module")
def definitions(space):
    return build(space)


def test_snapshot(definitions, pytestconfig):
    """A line an asset: what it is made from, and its checks; then the jobs and what starts them."""
    graph = definitions.resolve_asset_graph()
    checks = {}
    for key in sorted(graph.asset_check_keys):
        checks.setdefault(key.asset_key, []).append(key.name)
    names = {key: key.to_user_string() for key in sorted(graph.materializable_asset_keys)}
    marts = {key for key in names if key.path[0] == "mart"}
    lines = []
    for key, name in names.items():
        parents = graph.get(key).parent_keys
        made_from = sorted(names.get(parent, parent.to_user_string()) for parent in parents - marts)
        made_from += ["every mart"] if parents >= marts else sorted(map(names.get, parents & marts))
        lines.append(f"{name} < {' '.join(made_from)} | {' '.join(checks.get(key, []))}".rstrip())
    jobs = sorted(job.name for job in definitions.resolve_all_job_defs())
    lines.append(f"jobs: {' '.join(name for name in jobs if not name.startswith('__'))}")
    lines.append(f"schedules: {' '.join(sorted(one.name for one in definitions.schedules))}")
    lines.append(f"sensors: {' '.join(sorted(one.name for one in definitions.sensors))}")
    if pytestconfig.getoption("--renew-snapshot"):
        SNAPSHOT.write_text("\n".join(lines) + "\n", encoding="utf-8")
    assert lines == SNAPSHOT.read_text(encoding="utf-8").splitlines()


def test_every_asset_is_described_owned_and_in_a_stage(definitions):
    graph = definitions.resolve_asset_graph()
    for key in graph.materializable_asset_keys:
        node = graph.get(key)
        assert node.group_name in STAGES
        assert node.description
        assert node.owners
        assert key.path[0] == "published" or node.metadata["dagster/column_schema"].columns


def test_all_steps_share_one_pool(definitions):
    for asset in definitions.assets:
        assert asset.node_def.pools == {"warehouse"}, asset.key


def test_dagster_is_told_of_every_check_and_which_ones_stop_the_chain(definitions):
    specs = {
        spec.asset_key.path[-1]: spec for asset in definitions.assets for spec in asset.check_specs
    }
    tables = [dictionary().tables[name] for name in specs if name in dictionary().tables]
    for table in tables:
        checks, spec = checks_of(table), specs[table.name]
        lines = spec.description.splitlines()
        assert spec.blocking == any(check.blocks for check in checks)
        for check, line in zip(checks, lines, strict=True):
            assert line.startswith(f"- {check.id}: {check.sentence}")
            assert line.endswith("stops the chain.") == check.blocks
            assert check.severity == "ERROR" or not check.blocks


def test_what_failed_is_told_with_its_keys():
    blocks, told, passes = (
        CheckResult(check, is_passed, 9, rows, keys, failing)
        for check, is_passed, rows, keys, failing in (
            (_check("a", "ERROR", blocks=True), False, 2, ("900001",), ("no nulls",)),
            (_check("b", "WARN", blocks=False), False, 1, (), ("in range",)),
            (_check("c", "ERROR", blocks=True), True, 0, (), ()),
        )
    )
    (found,) = as_dagster(dg.AssetKey("table"), assets.told_of([blocks, told, passes]))
    assert not found.passed
    assert found.severity == dg.AssetCheckSeverity.ERROR
    assert set(found.metadata) == {"checks", "checked_rows", "a", "b"}
    assert "2 of 9 row(s) fail (no nulls); keys: 900001" in found.metadata["a"].value
    assert "none to show" in found.metadata["b"].value
    (lesser,) = as_dagster(dg.AssetKey("table"), assets.told_of([told, passes]))
    assert not lesser.passed
    assert lesser.severity == dg.AssetCheckSeverity.WARN
    (only,) = as_dagster(dg.AssetKey("table"), assets.told_of([passes]))
    assert only.passed


def _check(name, severity, *, blocks):
    says = Says("It holds.", "מתקיים.", "Look.", "יש לבדוק.")
    return Check(name, severity, "validity", "owner", says, (), blocks=blocks)


def test_jobs_split_the_chain(definitions):
    parts = [
        set(definitions.resolve_job_def(name).asset_layer.selected_asset_keys)
        for name in ("refresh", "allocate")
    ]
    whole = set(definitions.resolve_job_def(CHAIN).asset_layer.selected_asset_keys)
    assert parts[0] | parts[1] == whole
    assert not parts[0] & parts[1]


def test_the_nightly_run_covers_all_school_years(definitions, space):
    with dg.instance_for_test() as instance:
        tick = definitions.resolve_schedule_def("nightly").evaluate_tick(
            dg.build_schedule_context(instance=instance)
        )
    assert (
        tick.run_requests[0].tags.items() >= {RANGE_START: "2021-22", RANGE_END: "2025-26"}.items()
    )
    assert all_years(space.city()) == {RANGE_START: "2021-22", RANGE_END: "2025-26"}


def test_the_sensor_wakes_for_a_changed_file_and_only_then(definitions, small_city):
    sensor = definitions.resolve_sensor_def("new_files")

    def look(cursor):
        with dg.DagsterInstance.ephemeral() as instance:
            return sensor.evaluate_tick(
                dg.build_sensor_context(instance=instance, cursor=cursor, definitions=definitions)
            )

    first = look(None)
    assert len(first.run_requests) == 1  # there is no release yet
    again = look(first.cursor)
    assert not again.run_requests
    assert "no file of the city" in again.skip_message
    file = small_city / "files" / "merges.csv"
    content = file.read_bytes()
    try:
        file.write_bytes(content + b"\n")
        woken = look(first.cursor)
    finally:
        file.write_bytes(content)
    assert len(woken.run_requests) == 1
    assert woken.cursor != first.cursor


def test_a_city_file_that_breaks_is_run_into_so_that_somebody_is_told(definitions, small_city):
    file = small_city / "city.yaml"
    text = file.read_text(encoding="utf-8")
    try:
        file.write_text("city: [", encoding="utf-8")
        with dg.instance_for_test() as instance:
            nightly = definitions.resolve_schedule_def("nightly")
            night = nightly.evaluate_tick(dg.build_schedule_context(instance=instance))
            look = definitions.resolve_sensor_def("new_files").evaluate_tick(
                dg.build_sensor_context(instance=instance, cursor="other", definitions=definitions)
            )
    finally:
        file.write_text(text, encoding="utf-8")
    assert len(night.run_requests) == len(look.run_requests) == 1


def test_a_failed_run_raises_a_notice_and_the_next_good_one_takes_it_back(definitions, space):
    @dg.op
    def step_that_breaks():
        raise ValueError("what a file held")

    @dg.op
    def step_that_works():
        return None

    def told_of(op, sensor, event):
        with dg.DagsterInstance.ephemeral() as instance:
            job = dg.GraphDefinition(op.name + "_job", node_defs=[op]).to_job()
            run = job.execute_in_process(instance=instance, raise_on_error=False)
            context = dg.build_run_status_sensor_context(
                sensor_name=sensor,
                dagster_instance=instance,
                dagster_run=run.dagster_run,
                dagster_event=event(run),
            )
            failed = sensor == "notice_of_failure"
            definitions.resolve_sensor_def(sensor)(context.for_run_failure() if failed else context)
        return run.run_id

    notices = Path(space.marts_folder) / "notices"
    run_id = told_of(step_that_breaks, "notice_of_failure", lambda run: run.get_run_failure_event())
    text = (notices / "failed.txt").read_text(encoding="utf-8")
    assert run_id in text
    assert "step_that_breaks" in text
    assert "no earlier release" in text
    assert "what a file held" not in text
    told_of(step_that_works, "notice_of_success", lambda run: run.get_run_success_event())
    assert [path.name for path in notices.iterdir()] == ["recovered.txt"]


@pytest.mark.parametrize(("year", "key"), [(2026, "2025-26"), (2000, "1999-00"), (2010, "2009-10")])
def test_partition_keys(year, key):
    assert year_key(year) == key
    assert school_year(key) == year


def test_one_year_can_be_refreshed_alone(definitions, space, small_city):
    key = dg.AssetKey(["raw", "raw_climate__facets"])
    warehouse = Warehouse(path=str(space.warehouse_path))
    job = definitions.resolve_implicit_global_asset_job_def()

    def refresh(**how):
        with dg.DagsterInstance.ephemeral() as instance:
            return job.execute_in_process(instance=instance, asset_selection=[key], **how)

    count = (
        "SELECT school_year, count(*), sum(CAST(respondents AS INT)) FROM raw.raw_climate__facets"
        " GROUP BY 1 ORDER BY 1"
    )
    assert refresh(tags=all_years(space.city())).success
    before = warehouse.read(count).rows()
    file = small_city / "files" / "climate_2025.csv"
    text = file.read_text(encoding="utf-8")
    try:
        file.write_text("\n".join(text.splitlines()[:-4]) + "\n", encoding="utf-8")
        assert refresh(partition_key="2024-25").success
    finally:
        file.write_text(text, encoding="utf-8")
    after = warehouse.read(count).rows()
    assert [row for row in after if row[0] != "2025"] == [row for row in before if row[0] != "2025"]
    was, now = (next(row[1] for row in rows if row[0] == "2025") for rows in (before, after))
    assert now == was - 4
