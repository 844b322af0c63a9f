"""Tables of predictions as Parquet, next to the CSV files."""

from __future__ import annotations

from pathlib import Path

from agfnet.errors import ConfigError
from agfnet.files import replacing
from agfnet.inference.decisions_table import DISTANCE_PREFIX, SET_PREFIX
from agfnet.inference.predictions import GROUP_PREFIX, PREFIX

FLOATS = (PREFIX, GROUP_PREFIX, DISTANCE_PREFIX, "ood_score")
FLAGS = ("frame", "abstain", "above_threshold", "out_of_distribution", "foreign")
"""Columns of whole numbers."""


def check_parquet() -> None:
    """Raise ConfigError unless pyarrow is installed."""
    try:
        import pyarrow.parquet  # noqa: F401
    except ModuleNotFoundError:
        raise ConfigError(
            "parquet: needs pyarrow; run `pip install 'agfnet[parquet]'`, or leave the setting out"
        ) from None


def write_parquet(table: Path) -> Path:
    """Copy a CSV table to Parquet, in bounded memory, whole or not at all; return the new file.

    Ids, labels and paths are text, all other columns numbers.
    """
    import pyarrow as pa
    from pyarrow import csv, parquet

    path = table.with_suffix(".parquet")
    columns = csv.open_csv(table).schema.names
    types = {
        name: pa.float64()
        if name.startswith(FLOATS)
        else pa.int64()
        if name in FLAGS or name.startswith(SET_PREFIX)
        else pa.string()
        for name in columns
    }
    reader = csv.open_csv(table, convert_options=csv.ConvertOptions(column_types=types))
    with replacing(path) as temporary, parquet.ParquetWriter(temporary, reader.schema) as writer:
        for batch in reader:
            writer.write_batch(batch)
    return path
