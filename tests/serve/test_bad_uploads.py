"""Hundreds of damaged uploads: never a failure of the server, never another one's answer."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator

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
