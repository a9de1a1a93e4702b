"""Keys of the tables of an allocation."""

PAIR = ["semel_mosad", "response_id"]
OPTION = [*PAIR, "dose_level"]
