"""Whole folders and tables: what stays, what goes, and that it is all or nothing."""

from __future__ import annotations

import csv
import errno
import itertools
import stat
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image as Pillow

from agfnet.config import DeidentifyConfig
from agfnet.data.readers import read_image
from agfnet.data.table import Case, read_cases
from agfnet.deidentify.copy import DeidentifyReport, deidentify
from agfnet.errors import ConfigError, DataError

from .conftest import WriteDicom

VIEWS = ("clinical", "ultrasound")
ROWS = [
    {
        "lesion_id": "Mueller-L1",
        "patient_id": "Mueller-P",
        "label": "melanoma",
        "clinical": "Mueller/photo 1.jpg|Mueller/photo 2.png",
        "ultrasound": "Mueller/scan.dcm#2|Mueller/scan.dcm#0",
        "clinical_mask": "Mueller/mask.png",
        "fold": "0",
        "age": "41",
        "visit": "2021-04-05",
    },
    {
        "lesion_id": "Mueller-L2",
        "patient_id": "Mueller-P",
        "label": "naevus",
        "clinical": "Mueller/photo 2.png",
        "ultrasound": "",
        "clinical_mask": "",
        "fold": "0",
        "age": "41",
        "visit": "2021-04-06",
    },
]
SECRETS = (b"Mueller", b"Anna", b"MRN", b"2021", b"1980", b"photo", b"scan", b"1.2.3.")


@pytest.fixture(autouse=True)
def keys(monkeypatch: pytest.MonkeyPatch) -> None:
    """Known keys: the digits of a random name could spell a year."""
    known = (f"key {number:064}".encode() for number in itertools.count())
    monkeypatch.setattr("agfnet.deidentify.copy.new_key", lambda: next(known))


@pytest.fixture
def table(tmp_path: Path, write_dicom: WriteDicom) -> Path:
    folder = tmp_path / "source"
    write_dicom(folder / "Mueller" / "scan.dcm", burned_in="YES")
    for seed, name in enumerate(("photo 1.jpg", "photo 2.png", "mask.png")):
        pixels = np.random.default_rng(seed).integers(0, 256, (9, 11, 3), dtype=np.uint8)
        exif = Pillow.Exif()
        exif[0x010E], exif[0x0112] = "Anna Mueller 1980", 6
        Pillow.fromarray(pixels).save(folder / "Mueller" / name, exif=exif)
    return write_table(folder / "cases.csv", ROWS)


def write_table(path: Path, rows: Sequence[dict[str, str]]) -> Path:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return path


def run(source: Path, name: str = "out", **options: Any) -> DeidentifyReport:
    """Into `tmp_path / name`, with the mapping in `tmp_path / name-secret`."""
    folder = (source if source.is_dir() else source.parent).parent
    mapping = folder / f"{name}-secret" / "mapping.csv"
    config = {"source": str(source), "out": str(folder / name), "mapping": str(mapping)}
    return deidentify(DeidentifyConfig(**(config | options)))


def by_label(table: Path) -> list[Case]:
    """The two cases, in the order of `ROWS`; that of the copy tells nothing."""
    return sorted(read_cases(table, modalities=VIEWS), key=lambda case: case.label)


def contents(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_a_table_names_nobody_and_shows_the_same(table: Path, tmp_path: Path) -> None:
    report = run(table)
    copied = contents(tmp_path / "out")
    assert len(copied) == 5  # the table, and each file once
    for secret in SECRETS:
        assert any(secret in name.encode() + data for name, data in contents(table.parent).items())
        assert not any(secret in name.encode() + data for name, data in copied.items())
    assert report.files == 4
    assert report.burned_in == (table.parent / "Mueller" / "scan.dcm",)
    assert report.dropped == ("age", "visit")
    before = read_cases(table, modalities=VIEWS)
    after = by_label(tmp_path / "out" / "cases.csv")
    for old, new in zip(before, after, strict=True):
        assert (old.label, old.split) == (new.label, new.split)
        assert new.attributes == {"fold": "0"}
        assert old.masks.keys() == new.masks.keys()
        for name in VIEWS:
            for one, other in zip(old.images[name], new.images[name], strict=True):
                assert np.array_equal(read_image(one).pixels, read_image(other).pixels)
    first, second = after
    assert first.patient_id == second.patient_id != "Mueller-P"
    assert first.images["clinical"][1] == second.images["clinical"][0]


def test_the_mapping_leads_back_and_is_private(table: Path, tmp_path: Path) -> None:
    report = run(table)
    mapping = tmp_path / "out-secret" / "mapping.csv"
    assert report.key == mapping.with_suffix(".key")
    for path in (mapping, report.key):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    with mapping.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    back = {(row["kind"], row["new"]): row["original"] for row in rows}
    first, _ = by_label(tmp_path / "out" / "cases.csv")
    assert back["lesion", first.lesion_id] == "Mueller-L1"
    assert back["patient", first.patient_id] == "Mueller-P"
    assert back["file", first.images["clinical"][0].stem] == "Mueller/photo 1.jpg"
    assert {row["original"] for row in rows if row["kind"] == "uid"} >= {"1.2.3.0", "1.2.3.1"}


@pytest.mark.slow
def test_the_same_key_gives_the_same_copy(table: Path, tmp_path: Path) -> None:
    key = run(table).key
    run(table, "again", key_file=str(key))
    run(table, "other")
    assert contents(tmp_path / "out") == contents(tmp_path / "again")
    assert (
        not contents(tmp_path / "out").keys() - {"cases.csv"} & contents(tmp_path / "other").keys()
    )
    assert [p.name for p in (tmp_path / "again-secret").iterdir()] == ["mapping.csv"]


def test_the_order_of_rows_tells_nothing(table: Path, tmp_path: Path) -> None:
    rows = [{**ROWS[1], "lesion_id": f"Mueller-{n:02}", "clinical_mask": ""} for n in range(20)]
    run(write_table(table, rows), modalities=["clinical"])
    ids = [
        case.lesion_id for case in read_cases(tmp_path / "out" / "cases.csv", modalities=VIEWS[:1])
    ]
    assert ids == sorted(ids)


def test_columns_to_keep(table: Path, tmp_path: Path) -> None:
    assert run(table, keep=["age"]).dropped == ("visit",)
    first, _ = read_cases(tmp_path / "out" / "cases.csv", modalities=VIEWS)
    assert first.attributes == {"fold": "0", "age": "41"}
    with pytest.raises(ConfigError, match="no column 'agee'; did you mean 'age'"):
        run(table, "b", keep=["agee"])
    with pytest.raises(ConfigError, match="'ultrasound' names files"):
        run(table, "b", modalities=["clinical"], keep=["ultrasound"])


def test_a_folder_keeps_its_tree_under_new_names(table: Path, tmp_path: Path) -> None:
    source = table.parent
    table.unlink()
    (source / "Mueller" / ".DS_Store").write_bytes(b"Mueller")
    (source / "Mueller" / "deep").mkdir()
    (source / "Mueller" / "mask.png").rename(source / "Mueller" / "deep" / "mask.png")
    assert run(source).files == 4
    copied = contents(tmp_path / "out")
    assert not any(s in name.encode() + data for name, data in copied.items() for s in SECRETS)
    folders = [Path(name).parts[:-1] for name in copied]
    assert sorted(map(len, folders)) == [1, 1, 1, 2]
    assert len({parts[0] for parts in folders}) == 1


@pytest.mark.parametrize("whole", [True, False])
def test_all_or_nothing(table: Path, tmp_path: Path, whole: bool) -> None:
    folder = table.parent / "Mueller"
    (folder / "photo 1.jpg").write_bytes((folder / "photo 1.jpg").read_bytes()[:200])
    (folder / "mask.png").write_text("Anna Mueller")
    source = table.parent if whole else table
    with pytest.raises(DataError) as caught:
        run(source)
    lines = str(caught.value).splitlines()
    assert len(lines) == 3 + whole  # the table itself is no image either
    assert f"{folder / 'photo 1.jpg'}: is damaged or truncated" in str(caught.value)
    assert f"{folder / 'mask.png'}: is not an image" in str(caught.value)
    assert "nothing was written" in lines[-1]
    assert [path.name for path in tmp_path.iterdir()] == ["source"]


def test_a_full_disk_is_no_fault_of_a_file(
    table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    for writer in ("pathlib.Path.write_bytes", "pydicom.Dataset.save_as"):
        with monkeypatch.context() as patch:
            patch.setattr(writer, full)
            with pytest.raises(OSError, match="No space left") as caught:
                run(table)
        assert str(tmp_path) == str(caught.value.filename)
        assert [path.name for path in tmp_path.iterdir()] == ["source"]


def test_a_long_text_is_no_name_of_a_file(table: Path) -> None:
    content = table.read_text().splitlines()
    rows = [content[0] + ",comment", *(f"{row},{'He said. ' * 60}" for row in content[1:])]
    table.write_text("\n".join(rows))
    assert run(table, keep=["comment"]).files == 4


def test_a_stopped_copy_leaves_nothing(table: Path, tmp_path: Path) -> None:
    def stop(done: int, total: int) -> None:
        assert (done, total) == (1, 4)
        raise KeyboardInterrupt

    mapping = str(tmp_path / "mapping.csv")
    config = DeidentifyConfig(source=str(table), out=str(tmp_path / "out"), mapping=mapping)
    with pytest.raises(KeyboardInterrupt):
        deidentify(config, progress=stop)
    assert [path.name for path in tmp_path.iterdir()] == ["source"]


def test_nothing_is_replaced(table: Path, tmp_path: Path) -> None:
    run(table)
    before = contents(tmp_path)
    with pytest.raises(DataError, match="out: exists already"):
        run(table, mapping=str(tmp_path / "m.csv"))
    with pytest.raises(DataError, match=r"mapping\.csv: exists already"):
        run(table, "b", mapping=str(tmp_path / "out-secret" / "mapping.csv"))
    with pytest.raises(DataError, match=r"mapping\.key: exists already"):
        run(table, "b", mapping=str(tmp_path / "out-secret" / "mapping.txt"))
    assert contents(tmp_path) == before


def test_paths_that_do_not_fit_together(table: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="--mapping FILE"):
        run(table, mapping=None)
    with pytest.raises(ConfigError, match="keep it in a folder"):
        run(table, mapping=str(tmp_path / "x" / ".." / "out" / "mapping.csv"))
    with pytest.raises(ConfigError, match="choose a folder outside"):
        run(table.parent, out=str(table.parent / "new"))
    with pytest.raises(DataError, match="no such file or folder"):
        run(tmp_path / "none")
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="no files"):
        run(tmp_path / "empty")
    (tmp_path / "key").write_text("short")
    with pytest.raises(ConfigError, match="expected 16 or more"):
        run(table, key_file=str(tmp_path / "key"))
    assert not (tmp_path / "out").exists()
