"""Take the pictures of the web page in docs/img, with the model of the demo.

    python bench/page.py runs/demo/agfnet docs/img

The server is started and stopped. Chinese text needs an installed font with its characters. Colours
are reduced to 256, so that the files are small. `diagnosis.png` of the demo is copied likewise.
"""

from __future__ import annotations

import argparse
import io
import shutil
from pathlib import Path
from typing import Any

from PIL import Image, ImageDraw

from agfnet.files import replacing
from serve import running

DESKTOP = {"viewport": {"width": 1180, "height": 900}}
PHONE = {"viewport": {"width": 390, "height": 844}, "is_mobile": True}
ENGLISH, CHINESE = {"locale": "en-GB"}, {"locale": "zh-CN"}
MAX_WIDTH = 1600


def main() -> None:
    """Analyse the examples and a drawing, in both languages, light and dark, large and small."""
    from playwright.sync_api import sync_playwright

    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("run", type=Path)
    parser.add_argument("folder", type=Path)
    arguments = parser.parse_args()
    folder = arguments.folder
    with running(arguments.run, workers=1) as (url, _), sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox"]
        )
        light, dark = {"color_scheme": "light"}, {"color_scheme": "dark"}
        take(browser, url, folder / "page.png", example=2, **DESKTOP, **ENGLISH, **light)
        take(browser, url, folder / "page-dark.png", example=0, **DESKTOP, **CHINESE, **dark)
        take(browser, url, folder / "page-phone.png", example=2, **PHONE, **CHINESE, **dark)
        take(browser, url, folder / "page-foreign.png", example=None, **PHONE, **ENGLISH, **light)
        browser.close()
    if (picture := arguments.run.parent / "diagnosis.png").is_file():
        write(Image.open(picture), folder / "diagnosis.png")


def take(browser: Any, url: str, path: Path, *, example: int | None, **settings: Any) -> None:
    """Analyse an example, or a drawing as a photograph, and take a picture.

    On a desktop it shows the whole page, on a phone the first screen.
    """
    context = browser.new_context(**settings)
    context.set_default_timeout(600_000)
    page = context.new_page()
    page.goto(url)
    page.locator("[data-key=example-0]").wait_for()
    if example is None:
        page.locator("[data-modality=clinical] input").first.set_input_files(
            {"name": "cat.png", "mimeType": "image/png", "buffer": drawing()}
        )
    else:
        page.locator(f"[data-key=example-{example}]").click()
        page.locator("[data-modality=ultrasound] .file img").wait_for()
    page.locator("#advice .quiet").wait_for(state="detached")
    page.click("#analyse")
    page.locator(".verdict" if example is None else ".pictures").wait_for()
    page.locator("#answer").scroll_into_view_if_needed()
    page.wait_for_timeout(500)
    whole = not settings.get("is_mobile", False)
    write(Image.open(io.BytesIO(page.screenshot(full_page=whole))), path)
    context.close()


def drawing() -> bytes:
    """Draw a cat."""
    image = Image.new("RGB", (400, 300), "white")
    pen = ImageDraw.Draw(image)
    orange = (250, 160, 40)
    pen.ellipse((120, 90, 280, 250), fill=orange, outline="black", width=4)
    for x in (130, 220):
        pen.polygon([(x, 110), (x + 25, 40), (x + 50, 105)], fill=orange, outline="black")
        pen.ellipse((x + 20, 140, x + 40, 165), fill=(20, 120, 20), outline="black")
    target = io.BytesIO()
    image.save(target, "PNG")
    return target.getvalue()


def write(image: Image.Image, path: Path) -> None:
    """Write a small PNG. The octree keeps the colours of a map that few pixels have."""
    image = image.convert("RGB")
    if image.width > MAX_WIDTH:
        image = image.resize((MAX_WIDTH, round(image.height * MAX_WIDTH / image.width)))
    with replacing(path) as temporary:
        image.quantize(256, method=Image.Quantize.FASTOCTREE).save(temporary, "PNG", optimize=True)


if __name__ == "__main__":
    main()
