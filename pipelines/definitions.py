"""The one Dagster entry point: every asset, check, job, schedule and sensor of one city.

The city is `TIKKUN_CITY` (default `demo_city`). Assets are grouped by the six stages; SQL files and
Python steps are one asset a table; all of them share one pool, because DuckDB has one writer.
"""

import warnings

import dagster as dg

from pipelines import act, aim, decide, diagnose
from pipelines.settings.workspace import Workspace, workspace
from pipelines.sources.collect import raw_assets, year_key
from pipelines.sources.files import city_files_state
from pipelines.warehouse.database import Warehouse
from pipelines.warehouse.progress import progress_logger
from pipelines.warehouse.sql_assets import sql_assets
from pipelines.warehouse.tables import asset_key, python_asset

warnings.filterwarnings("ignore", category=dg.BetaWarning)

CHAIN, SCENARIOS = "city", "scenarios"
STEPS = (*aim.STEPS, *diagnose.STEPS, *decide.STEPS, *act.STEPS)
RANGE_START, RANGE_END = "dagster/asset_partition_range_start", "dagster/asset_partition_range_end"


def all_years(space: Workspace) -> dict[str, str]:
    """Return the run tags that ask for every school year of the city."""
    years = space.city().city.school_years
    return {RANGE_START: year_key(years.first), RANGE_END: year_key(years.last)}


def build(space: Workspace) -> dg.Definitions:
    """Return the definitions of one city.

    Raises:
        CityError: if the city's folder is not valid; nothing is defined then.
    """
    years = space.city().city.school_years.all()
    by_stage = {
        stage: dg.AssetSelection.groups(stage)
        for stage in ("aim", "collect", "diagnose", "decide", "act", "review")
    }
    refresh = dg.define_asset_job(
        "refresh",
        selection=by_stage["aim"] | by_stage["collect"] | by_stage["diagnose"],
        description="Read the city's files and diagnose: aim, collect, diagnose.",
    )
    allocate = dg.define_asset_job(
        "allocate",
        selection=by_stage["decide"] | by_stage["act"] | by_stage["review"],
        description="Decide on what is already diagnosed, publish and review: decide, act, review.",
    )
    scenarios = dg.define_asset_job(
        SCENARIOS,
        selection=dg.AssetSelection.assets(
            *map(asset_key, decide.scenarios.STEPS[0].makes)
        ).downstream(),
        description="Solve the scenarios that have changed, compare, publish; nothing before them.",
    )
    chain = dg.define_asset_job(
        CHAIN,
        selection=dg.AssetSelection.all(),
        description="The whole chain, from files to a published release.",
    )

    @dg.schedule(
        job=chain,
        cron_schedule="0 2 * * *",
        execution_timezone="Asia/Jerusalem",
        default_status=dg.DefaultScheduleStatus.STOPPED,
        description="Every night at 02:00: the whole chain over all school years.",
    )
    def nightly(_: dg.ScheduleEvaluationContext) -> dg.RunRequest:
        return dg.RunRequest(tags=all_years(space))

    @dg.sensor(
        job=chain,
        minimum_interval_seconds=60,
        default_status=dg.DefaultSensorStatus.STOPPED,
        description="Run the chain when a file of the city appears or changes.",
    )
    def new_files(context: dg.SensorEvaluationContext) -> dg.SensorResult:
        state = city_files_state(space.city())
        if context.cursor == state:
            return dg.SensorResult(skip_reason="no file of the city is new or changed")
        if context.cursor is None:
            return dg.SensorResult(
                skip_reason="first look: the files there now are the starting point", cursor=state
            )
        return dg.SensorResult(
            run_requests=[dg.RunRequest(run_key=state, tags=all_years(space))], cursor=state
        )

    return dg.Definitions(
        assets=[
            *raw_assets(years),
            *sql_assets(),
            *map(python_asset, STEPS),
            *act.ASSETS,
        ],
        jobs=[refresh, allocate, scenarios, chain],
        schedules=[nightly],
        sensors=[new_files],
        resources={"workspace": space, "warehouse": Warehouse(path=str(space.warehouse_path))},
        executor=dg.in_process_executor,
        loggers={"progress": progress_logger},
    )


@dg.definitions
def defs() -> dg.Definitions:
    """Definitions of the city that the environment names."""
    return build(workspace())
