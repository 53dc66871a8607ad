"""Some rows and columns of a table of metrics, read a stretch at a time.

A run of 20,000 judged frames has more than a million rows; a decision is made of a protocol's, and of ten numbers.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from mousefacelift.core.files import readable

STRETCH = 16_384  # rows that are held whole


def read_rows(
    path: Path, columns: Sequence[str], is_wanted: Callable[[pd.DataFrame], pd.Series], what: str = "table"
) -> pd.DataFrame:
    """The rows that `is_wanted` says of a stretch, in their order; words are categories in the order of the alphabet.

    Raises:
        DataError: unreadable, or a column is missing.
    """
    with readable(path, what), pq.ParquetFile(path) as file:
        schema = file.schema_arrow
        missing = [name for name in columns if name not in schema.names]
        if missing:
            raise ValueError(f"column '{missing[0]}' is missing")
        words = [
            name for name in columns if pa.types.is_string(t := schema.field(name).type) or pa.types.is_large_string(t)
        ]
    with readable(path, what), pq.ParquetFile(path, read_dictionary=words, pre_buffer=False) as file:
        parts = []
        for batch in file.iter_batches(STRETCH, columns=list(columns)):
            wanted = is_wanted(batch.to_pandas()).to_numpy()
            parts.append(pa.Table.from_batches([batch]).filter(pa.array(wanted)))
        table = (
            pa.concat_tables(parts).unify_dictionaries().to_pandas(split_blocks=True, self_destruct=True)
            if parts
            else file.read(columns).to_pandas()
        )
    for name in words:
        table[name] = table[name].cat.set_categories(sorted(table[name].cat.categories))
    return table
