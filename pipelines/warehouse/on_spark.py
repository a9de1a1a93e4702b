"""Run one SELECT after another on Spark; needs pyspark alone, so it is no part of the package.

python on_spark.py FOLDER ANSWERS

Each line of the input is one table as JSON: `name`, `text` (SQL of Spark) and `given`, the Parquet
of every table it reads (`layer.name` → path, all of which Spark must reach). Its rows are written
to `FOLDER/<name>`. A line of JSON goes to the file descriptor ANSWERS for each: `failed` is empty
or what kind of error it was, `told` what Spark says of it.

Spark is a local one of one thread, which adds up in one order, unless SPARK_REMOTE names one
(`sc://host:port`, Spark Connect).
"""

import json
import os
import sys
from pathlib import Path

from pyspark.sql import SparkSession

_LOCAL = {
    "spark.ui.enabled": "false",
    "spark.ui.showConsoleProgress": "false",
    "spark.driver.memory": "2g",
    "spark.sql.shuffle.partitions": "1",
    "spark.buffer.pageSize": "4m",
}


def main(folder: Path, answers: int) -> int:
    """Answer every line of the input."""
    is_remote = bool(os.environ.get("SPARK_REMOTE"))
    builder = SparkSession.builder
    if not is_remote:
        builder = builder.master("local[1]")
        for name, value in _LOCAL.items():
            builder = builder.config(name, value)
        builder = builder.config("spark.sql.warehouse.dir", str(folder / "spark-warehouse"))
    spark = builder.config("spark.sql.session.timeZone", "UTC").getOrCreate()
    if not is_remote:
        spark.sparkContext.setLogLevel("OFF")
    with os.fdopen(answers, "w", encoding="utf-8") as said:
        for answer in (made(spark, folder, json.loads(line)) for line in sys.stdin):
            print(json.dumps(answer), file=said, flush=True)
    spark.stop()
    return 0


def made(spark: SparkSession, folder: Path, asked: dict) -> dict[str, str]:
    """Make one table, and return the answer."""
    try:
        for table, path in asked["given"].items():
            spark.sql(f"CREATE DATABASE IF NOT EXISTS {table.split('.')[0]}")
            spark.sql(f"DROP TABLE IF EXISTS {table}")
            spark.sql(f"CREATE TABLE {table} USING parquet LOCATION '{path}'")
        spark.sql(asked["text"]).write.mode("overwrite").parquet(str(folder / asked["name"]))
    except Exception as error:  # whatever it is, it is told
        return {"failed": type(error).__name__, "told": " ".join(str(error).split())[:400]}
    return {"failed": "", "told": ""}


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]).resolve(), int(sys.argv[2])))
