"""Hundreds of damaged uploads: never a failure of the server, never another one's answer."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

from .live import NAME, Live, encoded, noise

Files = dict[str, bytes]
PER_FILE = 34
BOUNDARY = "----boundary"


def damaged(data: bytes, chance: random.Random) -> bytes:
    """A file with one of the damages that happen, or that are made."""
    content = bytearray(data)
    for _ in range(chance.choice([1, 1, 2, 8])):
        at = chance.randrange(len(content) or 1)
        what = chance.randrange(8)
        if what == 0:
            content = content[:at]
        elif what == 1:
            content[at : at + 1] = bytes([chance.randrange(256)])
        elif what == 2:
            content[at : at + 4] = b"\xff\xff\xff\xff"
        elif what == 3:
            content[at : at + 4] = bytes(4)
        elif what == 4:
            content[at:at] = chance.randbytes(chance.randrange(1, 64))
        elif what == 5:
            del content[at : at + chance.randrange(1, 64)]
        elif what == 6:
            other = chance.randrange(len(content) or 1)
            content[at : at + 32] = content[other : other + 32]
        else:
            near = chance.randrange(min(400, len(content) or 1))  # where headers are
            content[near : near + 1] = bytes([chance.randrange(256)])
    return bytes(content)


def body(data: bytes) -> bytes:
    """A sound multipart body."""
    head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="clinical"; filename="{NAME}"'
    return head.encode() + b"\r\n\r\n" + data + f"\r\n--{BOUNDARY}--\r\n".encode()


def corpus(files: Files) -> Iterator[bytes]:
    """Bodies: damaged files in sound bodies, and sound files in damaged bodies."""
    chance = random.Random(7)
    for data in files.values():
        for _ in range(PER_FILE):
            yield body(damaged(data, chance))
    sound = body(files["PNG"])
    for _ in range(PER_FILE):
        yield damaged(sound, chance)
        yield damaged(sound[:200], chance) + sound[200:]


@pytest.mark.slow
def test_damaged_uploads(live: Live, files: Files) -> None:
    sentinel = encoded(noise(80, 80, (40, 200, 60), seed=5), "PNG")
    expected = live.predict(sentinel).json()["probabilities"]
    workers, restarts = live.workers, live.metric("agfnet_worker_restarts_total")
    headers = {"content-type": f"multipart/form-data; boundary={BOUNDARY}"}
    statuses: Counter[int] = Counter()
    count = 0
    for count, content in enumerate(corpus(files), start=1):
        path = ("/v1/predict", "/v1/preview")[count % 2]
        reply = live.client.post(path, content=content, headers=headers)
        statuses[reply.status_code] += 1
        assert reply.status_code == 200 or 400 <= reply.status_code < 500, reply.text
        assert NAME not in reply.text
        assert "/dev/shm" not in reply.text
        if count % 20 == 0:
            assert live.predict(sentinel).json()["probabilities"] == expected
    assert count >= 200
    assert statuses[422] > 30
    assert statuses[200] > 30  # some are still readable: the corpus is near to real ones
    assert live.workers == workers
    assert live.metric("agfnet_worker_restarts_total") == restarts


@pytest.mark.parametrize(
    ("head", "name"),
    [
        (b"\0\0\0\x1cftypavif\0\0\0\0avifmif1", "AVIF"),
        (b"\0\0\0\x20ftypisom\0\0\2\0isomiso2", "a video (MP4 or MOV)"),
        (b"\0\0\0\x14ftypqt  \0\0\2\0qt  ", "a video (MP4 or MOV)"),
        (b"RIFF\0\1\0\0AVI LIST", "a video (AVI)"),
        (b"RIFF\0\1\0\0WEBPVP8 ", "WebP"),
        (b"\x1aE\xdf\xa3\x9fB\x86\x81", "a video (WebM or Matroska)"),
        (b"GIF89a\1\0\1\0", "GIF"),
        (b"%PDF-1.7\n", "PDF"),
        (b"\0\0\0\x0cjP  \r\n\x87\n", "JPEG 2000"),
        (b"7z\xbc\xaf\x27\x1c", "an archive (zip or like it)"),
        (b"\n <!DOCTYPE html>", "a web page (HTML or XML)"),
        (b"<?xml version='1.0'?><svg/>", "SVG"),
        (b"\xef\xbf\xbd\xef\xbf\xbd\0\x10JFIF", "a file that was transferred as text"),
        (b"data:image/jpeg;base64,/9j/", "an image as text (Base64)"),
    ],
)
def test_a_type_that_is_not_supported_is_named(head: bytes, name: str, live: Live) -> None:
    reply = live.predict(head + bytes(200))
    assert reply.status_code == 415
    assert f"clinical, file 0: is {name}, not JPEG" in reply.json()["error"]["message"]


def test_a_compressed_body_is_named(live: Live) -> None:
    headers = {"content-type": "multipart/form-data; boundary=x", "content-encoding": "gzip"}
    reply = live.client.post("/v1/predict", content=b"\x1f\x8b\x08\0", headers=headers)
    assert reply.status_code == 415
    assert "Content-Encoding gzip; send it without compression" in reply.text


def test_an_empty_field_of_a_form_is_a_missing_image(live: Live, files: dict[str, bytes]) -> None:
    def part(name: str, filename: str | None, content: bytes) -> bytes:
        file = "" if filename is None else f'; filename="{filename}"'
        head = f'--x\r\nContent-Disposition: form-data; name="{name}"{file}\r\n\r\n'
        return head.encode() + content + b"\r\n"

    def send(*parts: bytes) -> Any:
        headers = {"content-type": "multipart/form-data; boundary=x"}
        body = b"".join(parts) + b"--x--\r\n"
        return live.client.post("/v1/predict", content=body, headers=headers)

    photo, empty = part("clinical", "a.jpg", files["JPEG"]), part("ultrasound", "", b"")
    for parts in (
        (photo, empty),
        (empty, photo),
        (empty, empty, photo, part("options", None, b"")),
    ):
        reply = send(*parts)
        assert reply.status_code == 200, reply.text
        assert reply.json()["missing"] == ["ultrasound"]
    again = send(part("clinical", "", b""), photo, part("clinical", "b.jpg", files["JPEG"]))
    assert len(again.json()["images"]["clinical"]) == 2
    assert send(empty).json()["error"]["code"] == "invalid"
    named = send(photo, part("ultrasound", "scan.png", b""))
    assert "ultrasound, file 0: is empty" in named.json()["error"]["message"]
