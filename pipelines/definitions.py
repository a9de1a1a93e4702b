"""The one Dagster entry point: every asset, check, job, schedule and sensor of one city.

The city is `TIKKUN_CITY` (default `demo_city`). Assets are grouped by the six stages; SQL files and
Python steps are one asset a table; all of them share one pool, because DuckDB has one writer.
"""

import os
import warnings
from collections.abc import Iterator

import dagster as dg

from pipelines import act, aim, decide, diagnose, review
from pipelines.publish.due import Due, what_is_due
from pipelines.publish.notices import tell_failure, tell_news, tell_recovery
from pipelines.settings.city import CityError, CityFolder
from pipelines.settings.workspace import Workspace, workspace
from pipelines.sources import fingerprint
from pipelines.sources.collect import all_years, raw_assets
from pipelines.sources.files import city_files_state
from pipelines.warehouse.assets import asset_key, python_asset
from pipelines.warehouse.database import Warehouse
from pipelines.warehouse.progress import progress_logger
from pipelines.warehouse.run_store import CITY, end_broken_runs
from pipelines.warehouse.sql_assets import sql_assets

warnings.filterwarnings("ignore", category=dg.BetaWarning)

CHAIN, SCENARIOS = "city", "scenarios"
STEPS = (*aim.STEPS, *diagnose.STEPS, *decide.STEPS, *act.STEPS, *review.STEPS)
NIGHT = "TIKKUN_NIGHT"
"""Where this is set, as `make serve` does, the schedule runs without being switched on."""


def build(space: Workspace) -> dg.Definitions:
    """Return the definitions of one city.

    Raises:
        CityError: if the city's folder is not valid; nothing is defined then.
    """
    city = space.city()
    warehouse = Warehouse(str(space.warehouse_path), city.city.engine)

    @dg.resource(description="The working warehouse, locked and open while a run uses it.")
    def held_warehouse(context: dg.InitResourceContext) -> Iterator[Warehouse]:
        with warehouse.held(lambda said: context.log.info(said) if context.log else None) as held:
            yield held

    @dg.resource(description="Fingerprints of what the run is made from, taken when it begins.")
    def inputs(_: dg.InitResourceContext) -> fingerprint.RunInputs:
        return fingerprint.RunInputs(
            fingerprint.fingerprints_or_none(space), every_key, after_scenarios_keys
        )

    assets = [
        *raw_assets(city.city.school_years.all()),
        *sql_assets(),
        *map(python_asset, STEPS),
        *act.ASSETS,
    ]
    after_scenarios = dg.AssetSelection.assets(
        *map(asset_key, decide.scenarios.STEPS[0].makes)
    ).downstream()
    after_scenarios_keys = after_scenarios.resolve(assets)
    every_key = dg.AssetSelection.all().resolve(assets)
    whose = {CITY: space.name}
    by_stage = {
        stage: dg.AssetSelection.groups(stage)
        for stage in ("aim", "collect", "diagnose", "decide", "act", "review")
    }
    refresh = dg.define_asset_job(
        "refresh",
        selection=by_stage["aim"] | by_stage["collect"] | by_stage["diagnose"],
        description="Read the city's files and diagnose: aim, collect, diagnose.",
        tags=whose,
    )
    allocate = dg.define_asset_job(
        "allocate",
        selection=by_stage["decide"] | by_stage["act"] | by_stage["review"],
        description="Decide on what is already diagnosed, publish and review: decide, act, review.",
        tags=whose,
    )
    scenarios = dg.define_asset_job(
        SCENARIOS,
        selection=after_scenarios,
        description="Solve the scenarios that have changed, compare, publish; nothing before them.",
        tags=whose,
    )
    chain = dg.define_asset_job(
        CHAIN,
        selection=dg.AssetSelection.all(),
        description="The whole chain, from files to a published release.",
        tags=whose,
    )

    def as_it_stands() -> CityFolder:
        """Return the city now; as it was when last valid, if a run has to say what is wrong."""
        try:
            return space.city()
        except CityError:
            return city

    def asked_for(due: Due, run_key: str | None = None) -> dg.RunRequest:
        # A schedule has one job; what of it is to be made can still be chosen.
        only = sorted(after_scenarios_keys) if due.what == "scenarios" else None
        tags = {**whose, **all_years(as_it_stands())}
        return dg.RunRequest(run_key, tags=tags, asset_selection=only)

    @dg.schedule(
        job=chain,
        cron_schedule="0 2 * * *",
        execution_timezone="Asia/Jerusalem",
        default_status=(
            dg.DefaultScheduleStatus.RUNNING
            if os.environ.get(NIGHT)
            else dg.DefaultScheduleStatus.STOPPED
        ),
        description="Every night at 02:00: the whole chain, or the part of it that has changed.",
    )
    def nightly(context: dg.ScheduleEvaluationContext) -> dg.RunRequest | dg.SkipReason:
        end_broken_runs(context.instance, warehouse)
        due = what_is_due(space)
        if due.what == "nothing":
            tell_recovery(space, as_it_stands().city.notices)
            return dg.SkipReason(due.why)
        return asked_for(due)

    @dg.sensor(
        job=chain,
        minimum_interval_seconds=60,
        default_status=dg.DefaultSensorStatus.STOPPED,
        description="Run the chain when a file of the city appears or changes.",
    )
    def new_files(context: dg.SensorEvaluationContext) -> dg.SensorResult:
        # To look at sizes and times costs nothing; the files are read when one of them differs.
        state = city_files_state(as_it_stands())
        if context.cursor == state:
            return dg.SensorResult(skip_reason="no file of the city is new or changed")
        end_broken_runs(context.instance, warehouse)
        due = what_is_due(space)
        if due.what == "nothing":
            return dg.SensorResult(skip_reason=due.why, cursor=state)
        return dg.SensorResult(run_requests=[asked_for(due, run_key=state)], cursor=state)

    @dg.run_failure_sensor(
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Raise a notice when a run fails, whoever started it.",
    )
    def notice_of_failure(context: dg.RunFailureSensorContext) -> None:
        run = context.dagster_run
        steps = sorted(str(event.step_key) for event in context.get_step_failure_events())
        channels = as_it_stands().city.notices
        for unsent in tell_failure(space, channels, run.run_id, run.job_name, steps):
            context.log.warning(unsent)

    @dg.run_status_sensor(
        run_status=dg.DagsterRunStatus.SUCCESS,
        monitored_jobs=[chain, scenarios],
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Say that all is well again after a failure, and what is new.",
    )
    def notice_of_success(context: dg.RunStatusSensorContext) -> None:
        channels = as_it_stands().city.notices
        for unsent in (*tell_recovery(space, channels), *tell_news(space, channels)):
            context.log.warning(unsent)

    return dg.Definitions(
        assets=assets,
        jobs=[refresh, allocate, scenarios, chain],
        schedules=[nightly],
        sensors=[new_files, notice_of_failure, notice_of_success],
        resources={
            "workspace": space,
            "warehouse": held_warehouse,
            "inputs": inputs,
        },
        executor=dg.in_process_executor,
        loggers={"progress": progress_logger},
    )


@dg.definitions
def defs() -> dg.Definitions:
    """Definitions of the city that the environment names."""
    return build(workspace())
