"""Run transpiled SQL on a local Spark; needs pyspark and Java alone (`make spark-setup`).

python on_spark.py FOLDER

FOLDER has `work.json` (tables: name → SQL) and `given/<layer>.<name>.parquet`. Each result is
written to `found/<name>`, what fails to `failed.json` with the first line of Spark's message.
"""

import json
import sys
from pathlib import Path

from pyspark.sql import SparkSession


def main(folder: Path) -> int:
    """Run every table of a folder."""
    spark = (
        SparkSession.builder.master("local[2]")
        .config("spark.ui.enabled", "false")
        .config("spark.ui.showConsoleProgress", "false")
        .config("spark.sql.shuffle.partitions", "2")
        .config("spark.sql.session.timeZone", "UTC")
        .config("spark.driver.memory", "2g")
        .config("spark.sql.warehouse.dir", str(folder / "spark-warehouse"))
        .config("spark.driver.extraJavaOptions", f"-Dderby.system.home={folder}")
        .getOrCreate()
    )
    spark.sparkContext.setLogLevel("OFF")
    given = sorted((folder / "given").glob("*.parquet"))
    for layer in sorted({path.name.split(".")[0] for path in given}):
        spark.sql(f"CREATE DATABASE IF NOT EXISTS {layer}")
    for path in given:
        layer, name, _ = path.name.split(".")
        spark.sql(f"DROP TABLE IF EXISTS {layer}.{name}")
        spark.sql(f"CREATE TABLE {layer}.{name} USING parquet LOCATION '{path}'")
    failed = {}
    for name, text in json.loads((folder / "work.json").read_text()).items():
        try:
            spark.sql(text).coalesce(1).write.mode("overwrite").parquet(
                str(folder / "found" / name)
            )
        except Exception as error:  # every table is to be told
            failed[name] = " ".join(str(error).split())[:400]
    (folder / "failed.json").write_text(json.dumps(failed, indent=1))
    spark.stop()
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]).resolve()))
