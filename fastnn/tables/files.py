"""Read and write tables: CSV, Parquet, Excel, NPZ and JSON files, with pandas."""

from __future__ import annotations

import csv
import os
import re
import sys
from pathlib import Path
from typing import Any, TypeAlias

from ..datasets.arrays import read_npz

Frame: TypeAlias = Any
"""A pandas DataFrame. pandas is optional, and has no types of its own."""

TEXTS = (".csv", ".tsv", ".txt")
COMPRESSED = (".gz", ".bz2", ".xz", ".zip")
READ = (*TEXTS, ".parquet", ".xlsx", ".xls", ".npz")
"""Endings of the files that `read` reads. Text files may also be compressed."""
WRITTEN = (".csv", ".tsv", ".json", ".jsonl", ".parquet", ".xlsx")
MISSING = ["?", "-", "--", "."]
"""Cells that mean a missing value, in addition to those of pandas: empty cells, NA, NaN, null, None, ..."""
_SAMPLE = 1 << 16


def require() -> Any:
    """Return pandas; ImportError, saying what to install, if it is missing."""
    try:
        import pandas
    except ImportError as e:
        raise ImportError("tables need pandas, the extra 'tables': pip install pandas pyarrow openpyxl") from e
    return pandas


def ending_of(path: Any) -> str:
    """Return the ending of a table's name, in lower case, without that of a compression.

    >>> ending_of("a/Prices.CSV.gz")
    '.csv'
    """
    name = str(path).lower()
    stem, last = os.path.splitext(name)
    return os.path.splitext(stem)[1] if last in COMPRESSED and stem.endswith(TEXTS) else last


def is_table(path: Any) -> bool:
    """Return whether the name of a file is that of a table that only `read` reads, which excludes .npz."""
    return ending_of(path) in READ and ending_of(path) != ".npz"


def read(path: Any, sheet: str | int = 0) -> Frame:
    """Return the table in a file as a pandas DataFrame.

    Args:
        path: a .csv, .tsv or .txt file, also as .gz, .bz2, .xz or .zip; or a .parquet, .xlsx, .xls or .npz file. The separator of
            a text file is found from its first lines. The arrays of an .npz file have the same length; each is a column, and an
            array of two axes is several columns.
        sheet: name or number of the sheet of an Excel file.

    Raises:
        FileNotFoundError: there is no such file.
        ImportError: pandas, or a package that it needs for this kind of file, is missing.
        ValueError: the ending is unknown, the file is damaged, or it has no rows.

    >>> import pathlib, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     file = pathlib.Path(folder) / "rooms.csv"
    ...     _ = file.write_text("size;heated\\n12,5;yes\\n7,0;no\\n")
    ...     read(file).to_dict("list")
    {'size': [12.5, 7.0], 'heated': ['yes', 'no']}
    """
    pd = require()
    path, ending = Path(path), ending_of(path)
    if not path.is_file():
        raise FileNotFoundError(f"there is no file {str(path)!r}")
    if ending not in READ:
        raise ValueError(f"{path}: wanted a file that ends with {', '.join(READ)}")
    try:
        if ending == ".parquet":
            frame = pd.read_parquet(path)
        elif ending in (".xlsx", ".xls"):
            frame = pd.read_excel(path, sheet_name=sheet, na_values=MISSING)
        elif ending == ".npz":
            frame = _of_arrays(pd, path)
        else:
            frame = _of_text(pd, path)
    except ImportError as e:
        package = "pyarrow" if ending == ".parquet" else "openpyxl" if ending == ".xlsx" else "xlrd"
        raise ImportError(f"{path}: {ending} files need {package}: pip install {package}") from e
    except UnicodeDecodeError as e:
        raise ValueError(f"{path} is no text in UTF-8 (byte {e.start}); save it as CSV UTF-8") from e
    except (ValueError, KeyError, OSError, EOFError) as e:
        raise ValueError(f"{path} cannot be read as a {ending} file: {str(e).strip() or type(e).__name__}") from e
    if not len(named(frame, path)):
        raise ValueError(f"{path} has no rows")
    return frame


def named(frame: Frame, path: Any) -> Frame:
    """Return the frame, its columns named by texts without blanks around them; ValueError if two have the same name."""
    frame.columns = [str(name).strip() for name in frame.columns]
    if not frame.columns.is_unique:
        raise ValueError(f"{path} has two columns {str(frame.columns[frame.columns.duplicated()][0])!r}")
    return frame


def _of_text(pd: Any, path: Path) -> Any:
    return pd.read_csv(path, **dialect(path))


def dialect(path: Path) -> dict[str, Any]:
    """Return how pandas.read_csv has to read a text file, found from its first lines."""
    from pandas.io.common import get_handle

    with get_handle(path, "r", encoding="utf-8-sig", compression="infer") as opened:
        start = opened.handle.read(_SAMPLE)
    separator = "\t" if ending_of(path) == ".tsv" else _separator(start)
    comma = separator != "," and bool(re.search(r"\d,\d", start)) and not re.search(r"\d\.\d", start)
    return {
        "sep": separator,
        "decimal": "," if comma else ".",
        "na_values": MISSING,
        "skipinitialspace": True,
        "encoding": "utf-8-sig",
        "low_memory": False,
    }


def _separator(start: str) -> str:
    """Return the separator that splits the first lines into the same number of cells, which is the largest one."""
    lines = [line for line in start.splitlines()[:20] if line.strip()]
    if len(start) == _SAMPLE and len(lines) > 1:
        lines = lines[:-1]  # it may be cut
    best, most = ",", 1
    for separator in (",", ";", "\t", "|"):
        counts = {len(row) for row in csv.reader(lines, delimiter=separator)}
        if len(counts) == 1 and (count := counts.pop()) > most:
            best, most = separator, count
    return best


def _of_arrays(pd: Any, path: Path) -> Any:
    columns: dict[str, Any] = {}
    for name, array in read_npz(path).items():
        if array.ndim == 1:
            columns[name] = array
        elif array.ndim == 2:
            columns.update({f"{name}_{i}": array[:, i] for i in range(array.shape[1])})
        else:
            raise ValueError(f"the array {name} has shape {array.shape}; columns have one axis or two")
    return pd.DataFrame(columns)


def write(frame: Frame, path: Any) -> None:
    """Write a table to a .csv, .tsv, .json, .jsonl, .parquet or .xlsx file; "-" is CSV on stdout.

    Raises:
        ImportError: a package that pandas needs for this kind of file is missing.
        ValueError: the ending is unknown.
    """
    check_written(path)
    if str(path) == "-":
        frame.to_csv(sys.stdout, index=False)
        return
    path, ending = Path(path), ending_of(path)
    try:
        if ending == ".parquet":
            frame.to_parquet(path, index=False)
        elif ending == ".xlsx":
            frame.to_excel(path, index=False)
        elif ending in (".json", ".jsonl"):
            frame.to_json(path, orient="records", lines=ending == ".jsonl")
        else:
            frame.to_csv(path, index=False, sep="\t" if ending == ".tsv" else ",")
    except ImportError as e:
        package = "pyarrow" if ending == ".parquet" else "openpyxl"
        raise ImportError(f"{path}: {ending} files need {package}: pip install {package}") from e


def check_written(path: Any) -> None:
    """Raise ValueError unless `write` writes files with such a name."""
    if str(path) != "-" and (ending_of(path) not in WRITTEN or os.fspath(path).lower().endswith(COMPRESSED)):
        raise ValueError(f"{path}: wanted a file that ends with {', '.join(WRITTEN)}")
