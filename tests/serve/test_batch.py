"""Batches: the same tables as `agfnet predict`, and zips that are not what they seem."""

from __future__ import annotations

import csv
import io
import re
import time
import zipfile
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from agfnet.cli import main
from agfnet.config import ServeConfig
from agfnet.serve.archive import unpack
from agfnet.serve.batch import Batch, Batches
from agfnet.serve.batch_store import WORK
from agfnet.serve.batch_table import find_table
from agfnet.serve.limits import Limits
from agfnet.serve.request_error import RequestError

from .live import CLASSES, Live

Files = dict[str, bytes]
TABLE = (
    "lesion_id,patient_id,label,clinical,ultrasound\n"
    "L1,P1,mole,a/1.jpg,a/2.dcm\nL2,P2,,a/1.jpg|a/3.png,\nL3,P2,wart,,a/3.png\n"
)


def packed(members: dict[str, bytes | str], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", method) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return target.getvalue()


def images(files: Files) -> dict[str, bytes | str]:
    return {"a/1.jpg": files["JPEG"], "a/2.dcm": files["DICOM"], "a/3.png": files["PNG"]}


def finished(live: Live, **parts: bytes | str) -> dict[str, Any]:
    """Send a batch and wait for its end."""
    reply = live.client.post("/v1/batches", files={n: ("x", c) for n, c in parts.items()})
    assert reply.status_code == 202, reply.text
    said: dict[str, Any] = reply.json()
    end = time.monotonic() + 60
    while said["state"] in ("reading", "running"):
        assert time.monotonic() < end
        time.sleep(0.05)
        said = live.client.get(f"/v1/batches/{said['id']}").json()
    return said


def delete(live: Live, said: dict[str, Any]) -> None:
    assert live.client.delete(f"/v1/batches/{said['id']}").status_code == 204
    assert live.client.get(f"/v1/batches/{said['id']}").status_code == 404


def test_the_tables_are_those_of_predict(
    live: Live, files: Files, bundle: Path, tmp_path: Path
) -> None:
    said = finished(live, archive=packed(images(files)), cases=TABLE)
    assert (said["state"], said["done"], said["total"], said["problems"]) == ("done", 3, 3, 0)
    assert said["tables"] == ["predictions.csv", "frames.csv", "decisions.csv"]
    for name, content in images(files).items():
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    (tmp_path / "cases.csv").write_text(TABLE)
    out = tmp_path / "predictions.csv"
    assert (
        main(["predict", str(bundle), "--cases", str(tmp_path / "cases.csv"), "--out", str(out)])
        == 0
    )
    for name in said["tables"]:
        reply = live.client.get(f"/v1/batches/{said['id']}/{name}")
        assert reply.headers["content-type"].startswith("text/csv")
        ours, theirs = (
            list(csv.reader(io.StringIO(t))) for t in (reply.text, (tmp_path / name).read_text())
        )
        assert ours[0] == theirs[0]
        for mine, other in zip(ours[1:], theirs[1:], strict=True):
            assert [rounded(cell) for cell in mine] == [rounded(cell) for cell in other]
    assert live.client.get(f"/v1/batches/{said['id']}/cases.csv").status_code == 404
    delete(live, said)


def rounded(cell: str) -> str:
    try:
        return f"{float(cell):.4f}"
    except ValueError:
        return cell


def test_a_table_in_the_zip_and_a_lesion_that_cannot_be_read(live: Live, files: Files) -> None:
    members = {f"cohort/{name}": content for name, content in images(files).items()}
    members |= {"cohort/cases.csv": TABLE, "cohort/a/3.png": files["PNG"][:200]}
    members |= {"__MACOSX/cohort/._cases.csv": b"x", "cohort/notes.txt": b"x"}
    said = finished(live, archive=packed(members))
    assert (said["state"], said["done"], said["problems"]) == ("done", 3, 2)
    text = live.client.get(f"/v1/batches/{said['id']}/problems.csv").text
    rows = list(csv.DictReader(io.StringIO(text)))
    assert [(row["lesion_id"], row["row"]) for row in rows] == [("L2", "3"), ("L3", "4")]
    assert "ultrasound, file 0" in rows[1]["problem"]
    assert "/dev/shm" not in text
    delete(live, said)


@pytest.mark.parametrize(
    ("cell", "problem"),
    [
        ("a/1.jpg#7", "clinical, file 0: has one frame, so there is no frame 7"),
        ('"a/1.jpg#xywh=0,0,9000,9000"', "clinical, file 0: has the box"),
        ("a/1.jpg|a/3.png#2", "clinical, file 1: has one frame"),
    ],
)
def test_a_wrong_frame_or_box_names_its_file(
    cell: str, problem: str, live: Live, files: Files
) -> None:
    table = f"lesion_id,clinical,ultrasound\nL1,{cell},\n"
    said = finished(live, archive=packed(images(files)), cases=table)
    text = live.client.get(f"/v1/batches/{said['id']}/problems.csv").text
    assert problem in text
    assert "/dev/shm" not in text
    delete(live, said)


@pytest.mark.parametrize(
    "path", ["/etc/passwd", "../../../etc/passwd", "a/../../x.png", "a/1.jpg|/etc/hostname"]
)
def test_a_table_that_leads_elsewhere(path: str, live: Live, files: Files) -> None:
    said = finished(live, archive=packed(images(files)), cases=TABLE.replace("a/1.jpg", path))
    assert said["state"] == "failed"
    assert "cases.csv:2 column clinical: leads out of the zip archive" in said["error"]
    assert "/dev/shm" not in said["error"]
    delete(live, said)


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ("lesion_id,clinical,ultrasound\nL1,a/9.jpg,\n", "'a/9.jpg' cannot be found"),
        ("lesion,clinical,ultrasound\nL1,a/1.jpg,\n", "lesion_id"),
        ("lesion_id,clinical,ultrasound\n", "rows"),
        ("lesion_id,label,clinical,ultrasound\nL1,Melanom,a/1.jpg,\n", "'Melanom' is not a class"),
        ("\xff\xfe", ""),
    ],
)
def test_a_table_with_problems(table: str, message: str, live: Live, files: Files) -> None:
    said = finished(live, archive=packed(images(files)), cases=table)
    assert said["state"] == "failed"
    assert message in said["error"]
    assert "/dev/shm" not in said["error"]
    assert re.match("(?s)cases.csv( 第 \\d 行)?(，.+列)?：[^a-z].*", said["sentences"]["zh"])  # noqa: RUF001
    delete(live, said)


@pytest.mark.parametrize("name", ["cases.csv", "my data/Cases.CSV"])
def test_the_table_is_found_in_another_case(name: str, tmp_path: Path) -> None:
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).touch()
    assert find_table(tmp_path) == tmp_path / name
    (tmp_path / "CASES.csv.txt").touch()
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "cases.csv").touch()
    with pytest.raises(RequestError, match=r"contains 2 cases\.csv"):
        find_table(tmp_path)


def test_the_log_names_no_patient(
    files: Files, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Two spellings of a patient are noted in the log by other commands."""
    work = tmp_path / WORK
    work.mkdir()
    (work / "1").write_bytes(packed(images(files)))
    (work / "2").write_text(TABLE.replace("L3,P2", "L3,p2"))
    batches: Any = SimpleNamespace(
        _limits=Limits.of(ServeConfig(bundle="")),
        _bundle=SimpleNamespace(
            config=SimpleNamespace(
                modalities={"clinical": None, "ultrasound": None}, labels=None, classes=CLASSES
            )
        ),
    )
    batch = Batch(folder=tmp_path, id="", uploads={"archive": "1", "cases": "2"})
    _, cases = Batches._read(batches, batch)
    assert [case.patient_id for case in cases] == ["P1", "P2", "P2"]
    assert not caplog.records


def test_what_is_not_a_batch(live: Live, files: Files) -> None:
    archive = ("archive", ("x", packed(images(files))))
    for parts, status in (
        ([("archive", ("x", files["PNG"]))], 415),
        ([("cases", ("x", TABLE.encode()))], 422),
        ([archive, archive], 422),
        ([archive, ("cases", ("x", files["PNG"]))], 415),
        ([archive, ("more", ("x", b"x"))], 422),
        ([archive, ("cases", ("x", b"x")), ("cases", ("x", b"x"))], 413),
        ([("archive", ("x", b"PK\3\4" + bytes(2_000_000)))], 413),
    ):
        reply = live.client.post("/v1/batches", files=parts)
        assert reply.status_code == status, reply.text


def test_a_workbook_is_named(live: Live, files: Files, tmp_path: Path) -> None:
    parts = [("archive", packed(images(files))), ("cases", packed({"xl/workbook.xml": "x"}))]
    reply = live.client.post("/v1/batches", files={name: ("x", c) for name, c in parts})
    assert reply.status_code == 415
    error = reply.json()["error"]
    assert "is an Excel workbook or another zip file, not CSV" in error["message"]
    assert "Excel 工作簿或其他压缩文件" in error["sentences"]["zh"]
    inside = packed({"cases.XLSX": packed({"xl/workbook.xml": "x"})})
    (tmp_path / "archive.zip").write_bytes(inside)
    with pytest.raises(RequestError, match="is a workbook; leave it out"):
        unpack(tmp_path / "archive.zip", tmp_path, Limits.of(ServeConfig(bundle="x")))
    assert live.metric("agfnet_batches") == 0


def test_no_more_batches_than_are_kept(live: Live, files: Files) -> None:
    kept = [finished(live, archive=packed(images(files)), cases=TABLE) for _ in range(2)]
    reply = live.client.post("/v1/batches", files={"archive": ("x", packed({}))})
    assert reply.status_code == 429
    assert reply.headers["Retry-After"]
    for said in kept:
        delete(live, said)


def test_batches_that_failed_keep_nobody_out(live: Live, files: Files) -> None:
    failed = [finished(live, archive=packed({})) for _ in range(3)]
    assert {said["state"] for said in failed} == {"failed"}
    assert live.metric("agfnet_batches") == 2
    said = finished(live, archive=packed(images(files)), cases=TABLE)
    assert said["state"] == "done"
    assert live.client.get(f"/v1/batches/{failed[1]['id']}").status_code == 404
    for each in (said, failed[2]):
        delete(live, each)


def test_a_batch_under_way_can_be_dropped(live: Live, files: Files) -> None:
    with live.stopped():
        parts = {"archive": ("x", packed(images(files))), "cases": ("x", TABLE)}
        said = live.client.post("/v1/batches", files=parts).json()
        end = time.monotonic() + 30
        while said["state"] == "reading" and time.monotonic() < end:
            said = live.client.get(f"/v1/batches/{said['id']}").json()
        delete(live, said)
    assert live.predict(files["JPEG"]).status_code == 200


def refusal(data: bytes, folder: Path, **limits: Any) -> str:
    archive = folder / "archive.zip"
    archive.write_bytes(data)
    target = folder / "files"
    target.mkdir(exist_ok=True)
    settings = {"batch_files": 10, "batch_unpacked_mb": 5, **limits}
    try:
        unpack(archive, target, Limits.of(ServeConfig(bundle="x", **settings)))
    except RequestError as error:
        return error.code
    return "unpacked"


@pytest.mark.parametrize(
    "name",
    ["/x.png", "../x.png", "a/../../x.png", "..\\x.png", "C:/x.png", "a\nb", "a/" * 20 + "x"],
)
def test_a_zip_that_leads_out(name: str, tmp_path: Path) -> None:
    assert refusal(packed({name: b"x"}), tmp_path) == "invalid"
    assert not list((tmp_path / "files").rglob("*.png"))
    assert not (tmp_path / "x.png").exists()


def test_zips_that_grow(tmp_path: Path) -> None:
    assert refusal(packed({"a": bytes(4 << 20)}), tmp_path) == "too_large"  # by its ratio
    stored = packed({"b": bytes(6 << 20)}, zipfile.ZIP_STORED)
    assert refusal(stored, tmp_path) == "too_large"  # by its size
    assert refusal(stored, tmp_path / "..", batch_unpacked_mb=6) == "unpacked"


def test_a_zip_that_says_less_than_it_holds(tmp_path: Path) -> None:
    data = packed({"a": bytes(3 << 20)}, zipfile.ZIP_DEFLATED)
    small = (100).to_bytes(4, "little")
    lying = data.replace((3 << 20).to_bytes(4, "little"), small)
    assert lying != data
    assert refusal(lying, tmp_path) in ("bad_request", "too_large")


def test_other_odd_zips(tmp_path: Path) -> None:
    many = packed({str(number): b"x" for number in range(11)})
    assert refusal(many, tmp_path) == "too_many_files"
    assert refusal(packed({"a": b"x"}, zipfile.ZIP_BZIP2), tmp_path) == "invalid"
    assert refusal(packed({"a": b"x"})[:-9], tmp_path) == "bad_request"
    link = io.BytesIO()
    with zipfile.ZipFile(link, "w") as archive:
        info = zipfile.ZipInfo("link")
        info.external_attr = 0o120777 << 16
        archive.writestr(info, "/etc/passwd")
    assert refusal(link.getvalue(), tmp_path) == "unpacked"
    assert not (tmp_path / "files" / "link").is_symlink()


def test_a_zip_within_a_zip(tmp_path: Path) -> None:
    assert refusal(packed({"in.zip": packed({"x.png": b"x"})}), tmp_path) == "invalid"


def zip_with(names: list[str], files: Files, table: str, encoding: str = "UTF-8") -> bytes:
    """A zip whose names are in an encoding; only `UTF-8`, in capitals, sets the flag for it."""

    class Info(zipfile.ZipInfo):
        def _encodeFilenameFlags(self) -> tuple[bytes, int]:  # noqa: N802
            return self.filename.encode(encoding), 0x800 * (encoding == "UTF-8")

    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as archive:
        for name in names:
            archive.writestr(Info(name), files["JPEG"])
        archive.writestr("cases.csv", "lesion_id,clinical,ultrasound\n" + table)
    return target.getvalue()


@pytest.mark.parametrize(
    ("in_zip", "in_table", "encoding"),
    [
        ("Screenshot at 3.05.10\u202fPM.jpg", "Screenshot at 3.05.10\u202fPM.jpg", "UTF-8"),
        ("fa\u0308ll.jpg", "f\u00e4ll.jpg", "UTF-8"),  # macOS
        ("f\u00e4ll.jpg", "fa\u0308ll.jpg", "UTF-8"),
        ("a\u0308/fa\u0308ll.jpg", "\u00e4/fa\u0308ll.jpg", "UTF-8"),
        ("\u75c5\u4f8b/\u7167\u7247.jpg", "\u75c5\u4f8b/\u7167\u7247.jpg", "gbk"),
        ("\u7167\u7247\u8a98.jpg", "\u7167\u7247\u8a98.jpg", "gbk"),  # a byte of it is a backslash
        ("\u7167\u7247.jpg", "\u7167\u7247.jpg", "utf-8"),
        ("Fu\u00dfnote.jpg", "Fu\u00dfnote.jpg", "cp1252"),
        ("\u0444\u043e\u0442\u043e.jpg", "\u0444\u043e\u0442\u043e.jpg", "cp866"),
        ("\uc0ac\uc9c4.jpg", "\uc0ac\uc9c4.jpg", "cp949"),
    ],
)
def test_names_in_other_forms_and_encodings_are_found(
    in_zip: str, in_table: str, encoding: str, live: Live, files: Files
) -> None:
    said = finished(live, archive=zip_with([in_zip], files, f"L1,{in_table},\n", encoding))
    assert (said["state"], said["problems"]) == ("done", 0), said
    delete(live, said)


def test_a_name_that_is_refused_is_named(live: Live, files: Files) -> None:
    said = finished(live, archive=zip_with(["a\tb.jpg"], files, "L1,a\tb.jpg,\n"))
    assert said["state"] == "failed"
    assert r"'a\tb.jpg' has a control character" in said["error"]
    delete(live, said)
