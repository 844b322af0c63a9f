"""States of the page that a lesion alone does not reach: the token's dialog, and batches."""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from .browsing import Open, upload
from .live import CLASSES, LIMITS, Live, encoded, noise
from .test_page import SECRET, check_access

pytestmark = pytest.mark.browser
TABLE = b"lesion_id,patient_id,label,clinical,ultrasound\nL1,P1,,a.jpg,b.png\nL2,P2,,,c.png\n"


@pytest.fixture(scope="module")
def guarded(bundle: Path) -> Iterator[Live]:
    """A server that asks for a token."""
    server = Live(bundle, *LIMITS, "--workers", "1", env={"AGFNET_TOKEN": SECRET})
    yield server
    server.close()


@pytest.fixture(scope="module")
def archive() -> bytes:
    """Images of two lesions, of which one is damaged."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as target:
        scan = encoded(noise(80, 60, (70, 70, 70)), "PNG")
        target.writestr("a.jpg", encoded(noise(90, 120, (200, 120, 100)), "JPEG"))
        target.writestr("b.png", scan)
        target.writestr("c.png", scan[:90])
    return packed.getvalue()


def check_page(page: Any, locale: str) -> None:
    """No finding of axe, nothing beyond the window, and no English on the Chinese page."""
    check_access(page)
    width = page.viewport_size["width"]
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    if locale == "zh-CN":
        shown = page.evaluate(TEXT_IN_THE_LANGUAGE)
        known = {"agfnet", "English", "zip", "csv", "MB", "JPEG", "PNG", "TIFF", "DICOM", "HEIC"}
        known |= {"cases", "predictions", "decisions", "frames", "problems"}  # names of files
        known |= set(CLASSES)  # some are no diagnoses and have no other name
        assert set(re.findall("[A-Za-z]{2,}", shown)) <= known


TEXT_IN_THE_LANGUAGE = """() => {
    const copy = document.body.cloneNode(true);
    const silent = "script, noscript, [hidden], [lang=en], dialog:not([open])";
    const other = "#about, #lesion, #answer";
    for (const part of copy.querySelectorAll(`${silent}, ${other}`)) part.remove();
    return copy.textContent;
}"""
"""Returns the text of the page in its own language, without the parts that other tests look at."""


@pytest.mark.parametrize("locale", ["en-GB", "zh-CN"])
@pytest.mark.parametrize(("scheme", "width"), [("light", 1280), ("dark", 390)])
def test_the_token_and_a_batch_keep_nobody_out(
    scheme: str, width: int, locale: str, visit: Open, guarded: Live, archive: bytes
) -> None:
    page = visit(
        guarded.url, color_scheme=scheme, width=width, locale=locale, reduced_motion="reduce"
    )
    page.locator("#token[open]").wait_for()
    check_page(page, locale)
    page.fill("#token-text", "not this one, surely")
    page.keyboard.press("Enter")
    page.locator("#token-wrong").wait_for()
    check_page(page, locale)
    page.fill("#token-text", SECRET)
    page.keyboard.press("Enter")

    page.locator("#batch summary").first.click()
    page.set_input_files("#batch-archive", upload("images.zip", archive))
    page.click("#batch-start")
    page.locator("#batch-state .error").wait_for()  # there is no table
    check_page(page, locale)
    page.set_input_files("#batch-cases", upload("cases.csv", TABLE))
    page.click("#batch-start")
    page.locator("#batch-state [data-key='predictions.csv']").wait_for()
    check_page(page, locale)
    page.click("#theme")
    check_page(page, locale)
    page.locator("#batch-state [data-key=delete]").click()
    page.locator("#batch-state button").first.wait_for(state="detached")
    check_page(page, locale)
