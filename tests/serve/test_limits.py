"""Every limit, at a server whose limits are narrow (see LIMITS)."""

from __future__ import annotations

import io
import json
import socket
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from agfnet.config import ServeConfig
from agfnet.errors import ConfigError
from agfnet.serve.limits import Limits
from agfnet.serve.spool import Spool

from ..data.pngs import png
from .live import Live, encoded, noise

Files = dict[str, bytes]


def code(reply: Any, status: int) -> str:
    assert reply.status_code == status, reply.text
    return str(reply.json()["error"]["code"])


def test_megabytes(live: Live) -> None:
    heavy = noise(400, 499, (90, 90, 90)).tobytes() * 2
    assert code(live.predict(b"\xff\xd8\xff" + heavy), 413) == "too_large"
    assert live.client.get("/healthz").status_code == 200  # on the same connection


def test_megabytes_without_a_stated_length(live: Live) -> None:
    def body() -> Any:
        yield b'--x\r\ncontent-disposition: form-data; name="clinical"; filename="a"\r\n\r\n'
        yield b"\xff\xd8\xff"
        for _ in range(20):
            yield bytes(100_000)

    headers = {"content-type": "multipart/form-data; boundary=x"}
    reply = live.client.post("/v1/predict", content=body(), headers=headers)
    assert code(reply, 413) == "too_large"


def test_a_client_that_asks_first_is_told_before_it_sends(live: Live) -> None:
    host, port = live.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=20) as connection:
        connection.sendall(
            b"POST /v1/predict HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\n"
            b"Content-Type: multipart/form-data; boundary=x\r\nContent-Length: 999999999\r\n\r\n"
        )
        assert connection.recv(1000).startswith(b"HTTP/1.1 413")


def test_files(live: Live, files: Files) -> None:
    many = [("clinical", ("x", files["JPEG"]))] * 5
    assert code(live.client.post("/v1/predict", files=many), 413) == "too_many_files"
    assert live.client.post("/v1/predict", files=many[:4]).status_code == 200


def test_megapixels(live: Live) -> None:
    black = np.zeros((500, 401, 3), np.uint8)
    for form in ("JPEG", "PNG", "TIFF"):
        reply = live.predict(
            encoded(black, form, **({"compression": "tiff_deflate"} if form == "TIFF" else {}))
        )
        assert code(reply, 413) == "too_many_pixels"
        assert reply.json()["error"]["modality"] == "clinical"


def test_a_bomb_is_told_by_its_header(live: Live) -> None:
    bomb = png(60_000, 60_000, kind=2, depth=8, raw=bytes(999))
    assert code(live.predict(bomb), 413) == "too_many_pixels"


def test_frames(live: Live, files: Files) -> None:
    two = [("ultrasound", ("x", files["DICOM"]))] * 2
    assert code(live.client.post("/v1/predict", files=two), 413) == "too_many_frames"
    chosen = [{"file": 0, "frame": k} for k in range(4)] + [{"file": 1, "frame": 0}]
    options = {"options": json.dumps({"frames": {"ultrasound": chosen}})}
    assert live.client.post("/v1/predict", files=two, data=options).status_code == 200
    pages = [Image.new("L", (20, 20), k) for k in range(9)]
    tiff = io.BytesIO()
    pages[0].save(tiff, format="TIFF", save_all=True, append_images=pages[1:])
    assert code(live.predict(tiff.getvalue()), 413) == "too_many_frames"


def test_a_clip_that_claims_endless_frames(live: Live, files: Files) -> None:
    claimed = files["DICOM"].replace(b"IS\x02\x004 ", b"IS\x02\x0099")
    assert claimed != files["DICOM"]
    reply = live.client.post("/v1/predict", files={"ultrasound": ("x", claimed)})
    assert code(reply, 413) == "too_many_frames"


def test_deflated_dicom_is_not_unpacked(live: Live, tmp_path: Path, files: Files) -> None:
    from pydicom import dcmread
    from pydicom.uid import DeflatedExplicitVRLittleEndian

    clip = dcmread(io.BytesIO(files["DICOM"]))
    clip.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    clip.save_as(tmp_path / "x", enforce_file_format=True)
    reply = live.client.post(
        "/v1/predict", files={"clinical": ("x", (tmp_path / "x").read_bytes())}
    )
    assert code(reply, 422) == "unreadable_image"
    assert "deflated" in reply.json()["error"]["message"]


def test_text(live: Live, files: Files) -> None:
    data = {"options": " " * 70_000}
    assert code(live.predict(files["JPEG"], data=data), 413) == "too_large"


def test_a_type_is_told_by_content(live: Live, files: Files) -> None:
    for name, content in (
        ("photo.jpg", b"GIF89a" + bytes(50)),
        ("photo.png", b"RIFF\0\0\0\0WEBPVP8 "),
        ("photo.jpg", b"<svg xmlns='http://www.w3.org/2000/svg'/>"),
        ("photo.jpg", b"%!PS-Adobe-3.0 EPSF-3.0"),
        ("photo.jpg", b"PK\x03\x04" + bytes(50)),
    ):
        reply = live.client.post("/v1/predict", files={"clinical": (name, content, "image/jpeg")})
        assert code(reply, 415) == "unsupported_type"
    reply = live.client.post(
        "/v1/predict", files={"clinical": ("virus.exe", files["PNG"], "text/html")}
    )
    assert reply.status_code == 200


@pytest.mark.parametrize("setting", ["queue", "files", "megapixels", "frames", "batch_files"])
def test_limits_that_make_no_sense(setting: str) -> None:
    with pytest.raises(ConfigError, match=setting):
        ServeConfig(bundle="x", **{setting: -1})  # type: ignore[arg-type]


def test_nothing_is_left_behind(live: Live, files: Files, tmp_path: Path) -> None:
    live.predict(files["JPEG"])
    live.predict(files["JPEG"][:500])
    (spool,) = (path for path in Path("/dev/shm").glob("agfnet-*") if held_by(path, live))
    assert sorted(path.name for path in spool.iterdir()) == ["agfnet_batches", "lock"]
    assert [path.name for path in (spool / "agfnet_batches").iterdir()] == ["lock"]
    assert spool.stat().st_mode & 0o077 == 0


def held_by(folder: Path, live: Live) -> bool:
    return any(
        descriptor.resolve().parent == folder
        for descriptor in Path(f"/proc/{live.process.pid}/fd").iterdir()
    )


def test_what_a_killed_server_left_is_removed_and_what_a_living_one_has_is_not(
    tmp_path: Path,
) -> None:
    living = Spool(folder=str(tmp_path))
    (living.new() / "image").write_bytes(b"x")
    dead = tmp_path / "agfnet-dead"
    dead.mkdir()
    (dead / "lock").touch()
    (dead / "image").write_bytes(b"x")
    other = tmp_path / "agfnet-notes"
    other.mkdir()
    Spool(folder=str(tmp_path)).close()
    assert not dead.exists()
    assert other.exists()
    assert len(list(living.folder.rglob("image"))) == 1
    living.close()
    assert not living.folder.exists()


def test_a_photograph_of_a_phone_with_50_megapixels_is_within_the_limit() -> None:
    assert Limits.of(ServeConfig(bundle="")).megapixels > 8160 * 6144 / 1e6
