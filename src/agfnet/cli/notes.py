"""Notes on a calibration, as commands print them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agfnet.terminal import say

if TYPE_CHECKING:
    from agfnet.bundle import Bundle


def show_notes(bundle: Bundle) -> None:
    """Print what could not be fitted in the calibration of a bundle."""
    from agfnet.calibration.fit import calibration_warnings

    for line in calibration_warnings(bundle.calibration, bundle.config.names):
        say(f"Note: {line}")
