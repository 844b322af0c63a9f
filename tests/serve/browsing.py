"""Steps of a user on the page."""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Any

Open = Callable[..., Any]
"""Opens the page (see `visit` of conftest.py)."""


def upload(name: str, content: bytes) -> dict[str, Any]:
    return {"name": name, "mimeType": "application/octet-stream", "buffer": content}


def put(page: Any, modality: str, *files: dict[str, Any]) -> None:
    """Choose files in a field, and wait until the page has looked at them."""
    field = page.locator(f"[data-modality={modality}]")
    field.locator("input").first.set_input_files(list(files))
    page.locator("#advice .quiet").wait_for(state="detached")


def drop(page: Any, selector: str, *files: dict[str, Any]) -> None:
    """Drop files from outside."""
    given = [[one["name"], base64.b64encode(one["buffer"]).decode()] for one in files]
    dropped = page.evaluate_handle(
        """(given) => {
            const transfer = new DataTransfer();
            for (const [name, text] of given) {
                const bytes = Uint8Array.from(atob(text), (one) => one.charCodeAt(0));
                transfer.items.add(new File([bytes], name));
            }
            return transfer;
        }""",
        given,
    )
    page.dispatch_event(selector, "drop", {"dataTransfer": dropped})


def ask(page: Any) -> None:
    """Ask for the answer and wait for the evidence."""
    page.click("#analyse")
    page.locator(".pictures").wait_for()


def verdict(page: Any) -> str:
    return str(page.locator(".verdict").inner_text())
