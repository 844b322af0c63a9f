"""Take the pictures of the web page in docs/img.

agfnet serve RUN --port 8765 &
python bench/page.py http://127.0.0.1:8765 docs/img
"""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path
from typing import Any


def main() -> None:
    """Open an example in English on a desktop, and in Chinese on a phone in the dark."""
    from playwright.sync_api import sync_playwright

    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("url")
    parser.add_argument("folder", type=Path)
    arguments = parser.parse_args()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox"]
        )
        desktop = {"viewport": {"width": 1180, "height": 900}, "locale": "en-GB"}
        take(browser, arguments.url, arguments.folder / "page.png", color_scheme="light", **desktop)
        phone = {"viewport": {"width": 390, "height": 844}, "locale": "zh-CN", "is_mobile": True}
        take(
            browser,
            arguments.url,
            arguments.folder / "page-phone.png",
            color_scheme="dark",
            **phone,
        )
        browser.close()


def take(browser: Any, url: str, path: Path, **settings: Any) -> None:
    """Analyse the third example and take a picture: all of the page, or a phone's first screen."""
    context = browser.new_context(**settings)
    context.set_default_timeout(300_000)
    page = context.new_page()
    page.goto(url)
    page.locator("[data-key=example-2]").click()
    page.locator("[data-modality=ultrasound] .file img").wait_for()
    page.locator("#advice .quiet").wait_for(state="detached")
    page.click("#analyse")
    page.locator(".pictures").wait_for()
    page.locator("#answer").scroll_into_view_if_needed()
    page.wait_for_timeout(500)
    page.screenshot(path=path, full_page=not settings.get("is_mobile", False))
    context.close()


if __name__ == "__main__":
    main()
