"""A bundle with a graph made by hand, real files of every kind, and a server."""

from __future__ import annotations

import io
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from agfnet.phantom.dicom import write_sweep

from .browsing import Open
from .live import LIMITS, NAME, Live, encoded, make_bundle, noise


@pytest.fixture(scope="session")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A calibrated bundle with an ONNX graph, made without torch."""
    return make_bundle(tmp_path_factory.mktemp("serve") / "bundle")


@pytest.fixture(scope="session")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """Real files by kind."""
    photo, scan = noise(90, 120, (200, 120, 100)), noise(80, 60, (70, 70, 70))
    clip = tmp_path_factory.mktemp("clip") / "clip.dcm"
    write_sweep(
        clip,
        [noise(48, 64, (60 + 20 * k,) * 3, k)[..., 0] for k in range(4)],
        lesion_id="L1",
        patient_id=f"{NAME}^Anna",
        station="probe",
        spacing=0.1,
        frequency=20.0,
        burned_in=False,
    )
    pages = [Image.fromarray(noise(40, 40, (90, 90, 90), k)) for k in range(3)]
    tiff = io.BytesIO()
    pages[0].save(tiff, format="TIFF", save_all=True, append_images=pages[1:])
    return {
        "JPEG": encoded(photo, "JPEG"),
        "PNG": encoded(scan, "PNG"),
        "TIFF": tiff.getvalue(),
        "DICOM": clip.read_bytes(),
        "HEIC": (Path(__file__).parents[1] / "data" / "phone.heic").read_bytes(),
    }


@pytest.fixture(scope="session")
def live(bundle: Path) -> Iterator[Live]:
    """A server with narrow limits, for all tests that leave it as it was."""
    server = Live(bundle, *LIMITS)
    yield server
    server.close()


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """One browser; for one module only, since its event loop would be in others' way."""
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    if (chromium := shutil.which("chromium")) is None:
        pytest.skip("chromium is not installed")
    with sync_api.sync_playwright() as playwright:
        found = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        yield found
        found.close()


@pytest.fixture
def visit(browser: Any, request: pytest.FixtureRequest) -> Iterator[Open]:
    """Opens the page; in the end it must not have failed, nor asked anybody else."""
    contexts, faults = [], []

    def opened(url: str | None = None, *, width: int = 1280, **settings: Any) -> Any:
        context = browser.new_context(
            viewport={"width": width, "height": 800}, **{"locale": "en-GB"} | settings
        )
        context.set_default_timeout(60_000)  # of a busy machine
        contexts.append(context)
        page = context.new_page()
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.on("console", lambda message: faults.append(message.text) if own(message) else None)
        page.on("request", lambda request: faults.append(request.url) if away(request) else None)
        page.goto(url or request.getfixturevalue("live").url)
        return page

    def own(message: Any) -> bool:
        return message.type == "error" and not message.text.startswith("Failed to load resource")

    def away(request: Any) -> bool:
        return not request.url.startswith(("http://127.0.0.1:", "data:", "blob:"))

    yield opened
    for context in contexts:
        context.close()
    assert faults == []
