"""Lesions that appear in a watched folder, as files or by DICOM."""

from __future__ import annotations

import asyncio
import io
import json
import shutil
import subprocess
import time
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pydicom
import pytest

from agfnet import NOTICE
from agfnet.config import ServeConfig, default_modalities
from agfnet.errors import ConfigError
from agfnet.inference.predictor import Predictor
from agfnet.serve.limits import Limits
from agfnet.serve.predict import predict
from agfnet.serve.receive import Receiver
from agfnet.serve.request_error import RequestError
from agfnet.serve.watch import ANSWER, REPORT, Watcher, assign

from .live import LIMITS, MODALITIES, NAME, Live

Files = dict[str, bytes]
LIMIT = Limits.of(ServeConfig(bundle=""))


class OwnPool:
    """Answers in this process."""

    def __init__(self, bundle: Path) -> None:
        self.predictor = Predictor.load(bundle)
        self.jobs: list[Mapping[str, Any]] = []

    async def run(self, job: Mapping[str, Any], **_: Any) -> dict[str, Any]:
        self.jobs.append(job)
        reply = predict(job, self.predictor, LIMIT)
        del reply["outcome"]
        return reply


def watcher(folder: Path, pool: Any, **settings: Any) -> Watcher:
    config = ServeConfig(bundle="", watch=str(folder), **{"watch_settle_s": 0} | settings)
    return Watcher(config=config, modalities=MODALITIES, pool=pool)


def work(watcher: Watcher) -> int:
    """Answer what is complete; the number of folders."""

    async def once() -> int:
        folders = watcher.complete()
        for folder in folders:
            await watcher.answer(folder)
        return len(folders)

    return asyncio.run(once())


def lesion(folder: Path, content: Mapping[str, bytes]) -> Path:
    for name, data in content.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return folder


def answer_of(folder: Path) -> dict[str, Any]:
    answer: dict[str, Any] = json.loads((folder / ANSWER).read_text(encoding="utf-8"))
    return answer


def test_a_lesion_is_answered_once(bundle: Path, files: Files, tmp_path: Path) -> None:
    pool = OwnPool(bundle)
    watched = watcher(tmp_path, pool)
    content = {"clinical.jpg": files["JPEG"], "ultrasound/1.dcm": files["DICOM"], "notes.txt": b"x"}
    folder = lesion(tmp_path / "L1", content)
    assert [work(watched), work(watched)] == [1, 0]
    answer = answer_of(folder)
    assert answer["notice"] == NOTICE
    assert answer["files"] == {"clinical": ["clinical.jpg"], "ultrasound": ["ultrasound/1.dcm"]}
    images = {"clinical": ["clinical.jpg"], "ultrasound": ["ultrasound/1.dcm"]}
    paths = {name: [folder / image for image in some] for name, some in images.items()}
    expected = predict({**pool.jobs[0], "files": paths}, pool.predictor, LIMIT)
    assert answer["probabilities"] == expected["probabilities"]
    assert not (folder / REPORT).exists()
    watched.close()
    again = watcher(tmp_path, pool)  # another server
    assert work(again) == 0
    (folder / ANSWER).unlink()
    assert work(again) == 1
    again.close()


def test_files_that_still_arrive_are_waited_for(
    bundle: Path, files: Files, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 0.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    watched = watcher(tmp_path, OwnPool(bundle), watch_settle_s=10)
    folder = lesion(tmp_path / "L1", {"clinical.jpg": files["JPEG"][:300]})
    (tmp_path / "empty").mkdir()
    assert watched.complete() == []
    now = 9.0
    lesion(folder, {"clinical.jpg": files["JPEG"]})
    assert watched.complete() == []
    now = 18.0
    assert watched.complete() == []
    now = 19.0
    assert watched.complete() == [folder]
    watched.close()


def test_a_file_that_arrives_during_the_work_is_not_left_out(
    bundle: Path, files: Files, tmp_path: Path
) -> None:
    class SlowPool(OwnPool):
        async def run(self, job: Mapping[str, Any], **more: Any) -> dict[str, Any]:
            if not self.jobs:
                lesion(tmp_path / "L1", {"ultrasound.png": files["PNG"]})
            return await super().run(job, **more)

    watched = watcher(tmp_path, SlowPool(bundle))
    folder = lesion(tmp_path / "L1", {"clinical.jpg": files["JPEG"]})
    work(watched)
    assert not (folder / ANSWER).exists()
    work(watched)
    assert answer_of(folder)["missing"] == []
    watched.close()


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("clinical.jpg", b"", "clinical, file 0: is not JPEG"),
        ("clinical.jpg", b"\xff\xd8\xff\xe0 cut", "clinical, file 0"),
        ("picture.jpg", b"\xff\xd8\xff\xe0 cut", "of no modality"),
        ("notes.txt", b"text", "no image"),
    ],
)
def test_what_cannot_be_answered_is_said_once(
    name: str, content: bytes, message: str, bundle: Path, tmp_path: Path
) -> None:
    watched = watcher(tmp_path, OwnPool(bundle))
    folder = lesion(tmp_path / "L1", {name: content})
    assert [work(watched), work(watched)] == [1, 0]
    answer = answer_of(folder)
    assert message in answer["error"]["message"]
    assert "probabilities" not in answer
    watched.close()


def test_files_without_a_folder_are_reported(
    bundle: Path, files: Files, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    watched = watcher(tmp_path, OwnPool(bundle))
    lesion(tmp_path, {f"{NAME}.jpg": files["JPEG"]})
    with caplog.at_level("INFO", "agfnet.serve"):
        assert [work(watched), work(watched)] == [0, 0]
    assert [record.getMessage() for record in caplog.records] == ["watch_files_without_folder"]
    assert NAME not in str(caplog.records[0].__dict__)
    watched.close()


def test_images_belong_to_the_modality_of_their_name(tmp_path: Path) -> None:
    names = ("ultrasound_b.png", "Ultrasound/1.dcm", "ultrasound_doppler.png")
    files = [tmp_path / name for name in names]
    found = assign(tmp_path, files, ("ultrasound", "ultrasound_doppler"))
    assert {k: len(v) for k, v in found.items()} == {"ultrasound": 2, "ultrasound_doppler": 1}
    with pytest.raises(RequestError):
        assign(tmp_path, [], ("ultrasound",))


def test_a_report_is_written_if_asked(bundle: Path, files: Files, tmp_path: Path) -> None:
    folder = lesion(tmp_path / "L1", {"ultrasound.dcm": files["DICOM"]})
    for mode, named in (("anonymous", False), ("identified", True)):
        watched = watcher(tmp_path, OwnPool(bundle), watch_report=mode)
        assert work(watched) == 1
        report = pydicom.dcmread(folder / REPORT)
        assert (NAME in str(report.PatientID)) is named
        assert "report" not in answer_of(folder)
        (folder / ANSWER).unlink()
        watched.close()


def test_a_folder_has_one_watcher(tmp_path: Path) -> None:
    watched = watcher(tmp_path, None)
    with pytest.raises(ConfigError, match="another server"):
        watcher(tmp_path, None)
    watched.close()
    with pytest.raises(ConfigError, match="is not a folder"):
        watcher(tmp_path / "none", None)
    with pytest.raises(ConfigError, match="needs --watch"):
        ServeConfig(bundle="", receive_port=104)


@pytest.fixture
def receiver(tmp_path: Path) -> Iterator[Receiver]:
    config = ServeConfig(bundle="", watch=str(tmp_path), receive_port=0, request_mb=1)
    made = Receiver(config=config, modalities=default_modalities())
    yield made
    made.close()


def associated(receiver: Receiver, title: str = "AGFNET") -> Any:
    from pynetdicom import AE, sop_class

    entity = AE()
    for name in ("UltrasoundMultiFrameImageStorage", "ComprehensiveSRStorage", "Verification"):
        entity.add_requested_context(getattr(sop_class, name))
    return entity.associate("127.0.0.1", receiver.port, ae_title=title)


def test_dicom_images_arrive_in_the_folder(
    receiver: Receiver, bundle: Path, files: Files, tmp_path: Path
) -> None:
    image = pydicom.dcmread(io.BytesIO(files["DICOM"]))
    link = associated(receiver)
    assert link.send_c_echo().Status == 0
    assert link.send_c_store(image).Status == 0
    assert link.send_c_store(image).Status == 0  # once more: the same file
    link.release()
    watched = watcher(tmp_path, OwnPool(bundle), watch_report="identified")
    assert work(watched) == 1
    folder = tmp_path / str(image.StudyInstanceUID)
    answer = answer_of(folder)
    assert answer["files"] == {"ultrasound": [f"ultrasound/{image.SOPInstanceUID}.dcm"]}
    assert pydicom.dcmread(folder / REPORT).StudyInstanceUID == image.StudyInstanceUID
    watched.close()


def test_dicom_that_cannot_be_stored_is_refused(
    receiver: Receiver, files: Files, tmp_path: Path
) -> None:
    assert associated(receiver, "OTHER").is_rejected
    image = pydicom.dcmread(io.BytesIO(files["DICOM"]))
    link = associated(receiver)
    image.StudyInstanceUID = ""
    assert link.send_c_store(image).Status == 0xC000
    image.StudyInstanceUID = "1.2.3"
    image.NumberOfFrames = 400
    image.PixelData = image.PixelData * 100
    assert link.send_c_store(image).Status == 0xA700  # more than request_mb
    link.release()
    assert [path.name for path in tmp_path.iterdir()] == []


@pytest.mark.parametrize("uids", [("..", "1.2"), (".", "1.2"), ("1.2", ".."), ("1..2", "1.2")])
def test_an_id_that_is_no_uid_is_refused(
    uids: tuple[str, str], receiver: Receiver, tmp_path: Path
) -> None:
    """As a name of a folder, dots alone would lead out of the watched one."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pydicom warns of the value
        header = pydicom.Dataset()
        header.StudyInstanceUID, header.SOPInstanceUID = uids
        header.Modality = "US"
    event = SimpleNamespace(dataset=header, encoded_dataset=lambda: b"content")
    assert receiver.store(event) == 0xC000
    assert [*tmp_path.iterdir()] == []
    assert not (tmp_path.parent / "ultrasound").exists()


@pytest.mark.slow
def test_a_server_watches_and_receives(bundle: Path, files: Files, tmp_path: Path) -> None:
    """With the storescu of dcmtk, if it is installed."""
    folder = lesion(tmp_path / "L1", {"clinical.jpg": files["JPEG"]})
    (tmp_path.parent / "sent.dcm").write_bytes(files["DICOM"])
    options = ("--watch", str(tmp_path), "--watch-settle-s", "0", "--receive-port", "0")
    server = Live(bundle, *LIMITS, *options)
    try:
        wait_for(folder / ANSWER)
        port = next(line for line in server.lines if '"receiving"' in line)
        storescu = shutil.which("storescu")
        if storescu is not None:
            target = ["127.0.0.1", str(json.loads(port)["port"])]
            command = [storescu, "-aec", "AGFNET", *target, str(tmp_path.parent / "sent.dcm")]
            subprocess.run(command, check=True)
            study = pydicom.dcmread(io.BytesIO(files["DICOM"])).StudyInstanceUID
            wait_for(tmp_path / str(study) / ANSWER)
        assert not any(NAME in line or "clinical.jpg" in line for line in server.lines)
    finally:
        assert server.close() == 0


def wait_for(path: Path) -> None:
    end = time.monotonic() + 60
    while not path.exists():
        assert time.monotonic() < end
        time.sleep(0.05)
