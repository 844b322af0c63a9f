"""Text in the terminal is shown as it is, whatever it holds."""

from __future__ import annotations

from pathlib import Path

import pytest

from agfnet.terminal import bar, next_steps, say, show_table


@pytest.mark.parametrize("text", ["nevus [/atypical]", "[bold]x[/bold]", "a\\[b]"])
def test_brackets_are_text_everywhere(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    show_table([text, "number"], [[text, 1.0]], text)
    say(text)
    with bar(text) as progress:
        progress(1, 2)
    assert capsys.readouterr().out.count(text) == 4


def test_next_steps_are_commands_that_fit_a_terminal() -> None:
    text = next_steps(Path("runs/demo/agfnet"), {"clinical": "a.jpg", "ultrasound": "FILE"})
    assert "agfnet explain runs/demo/agfnet \\\n    --images.clinical a.jpg \\\n" in text
    assert max(map(len, text.splitlines())) <= 80
