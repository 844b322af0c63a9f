"""A model of one modality, of three, and another in its place after a restart."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import combinations

import pytest

from agfnet.config import ModalityConfig

from .live import CLASSES, LIMITS, Live, encoded, make_bundle, noise

VIEWS = ("clinical", "dermoscopic", "ultrasound")
KINDS = {"ultrasound": ModalityConfig(modality_type="ultrasound", resize="pad")}


@pytest.fixture(scope="module", params=[1, 3], ids=["one", "three"])
def other(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[tuple[str, ...], Live]]:
    """Modalities, and a server of a model that reads them."""
    views = VIEWS[: request.param]
    modalities = {name: KINDS.get(name, ModalityConfig()) for name in views}
    bundle = make_bundle(tmp_path_factory.mktemp("other") / "bundle", modalities)
    server = Live(bundle, *LIMITS, "--workers", "1")
    yield views, server
    server.close()


@pytest.mark.slow
def test_any_number_of_modalities(other: tuple[tuple[str, ...], Live]) -> None:
    views, server = other
    assert [one["name"] for one in server.client.get("/v1/model").json()["modalities"]] == [*views]
    images = {name: encoded(noise(60, 80, (200, 90, 60), m), "PNG") for m, name in enumerate(VIEWS)}
    files = [(name, ("x", images[name])) for name in views]
    answer = server.client.post("/v1/predict", files=files).json()
    assert answer["missing"] == []
    told = server.client.post("/v1/explain", files=files).json()
    assert set(told["maps"]["occlusion"]) == set(told["contributions"]) == set(views)
    every = [set(some) for n in range(len(views) + 1) for some in combinations(views, n)]
    assert [set(one["modalities"]) for one in told["answers"]] == every
    nothing, everything = (told["answers"][k]["probabilities"] for k in (0, -1))
    for name in CLASSES:
        moved = sum(part[name] for part in told["contributions"].values())
        assert moved == pytest.approx(everything[name] - nothing[name], abs=1e-3)
    few = server.client.post("/v1/predict", files=files[:1]).json()
    assert few["missing"] == list(views[1:])
    foreign = server.client.post("/v1/predict", files=[("sonar", ("x", images["clinical"]))])
    assert foreign.status_code == 422


@pytest.mark.slow
@pytest.mark.parametrize("path", ["/v1/preview", "/v1/predict", "/v1/explain"])
def test_who_asks_another_model_is_refused(path: str, live: Live, files: dict[str, bytes]) -> None:
    model = live.client.get("/v1/model").json()["sha256"]
    sent = [("clinical", ("x", files["PNG"]))]
    for tag in (f'"{model}"', "*", f'"0", "{model}"'):
        assert live.client.post(path, files=sent, headers={"If-Match": tag}).status_code == 200
    refused = live.client.post(path, files=sent, headers={"If-Match": f'"{model[:-1]}"'})
    assert refused.status_code == 412
    assert refused.json()["error"]["code"] == "other_model"


def test_a_batch_for_another_model_is_refused(live: Live) -> None:
    reply = live.client.post(
        "/v1/batches", files=[("archive", ("x", b"PK"))], headers={"If-Match": '"0"'}
    )
    assert (reply.status_code, reply.json()["error"]["code"]) == (412, "other_model")
    assert json.loads(live.client.get("/healthz").text) == {"status": "ok"}
