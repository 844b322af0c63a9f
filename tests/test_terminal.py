"""Text in the terminal is shown as it is, whatever it holds."""

from __future__ import annotations

import pytest

from agfnet.terminal import bar, say, show_table


@pytest.mark.parametrize("text", ["nevus [/atypical]", "[bold]x[/bold]", "a\\[b]"])
def test_brackets_are_text_everywhere(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    show_table([text, "number"], [[text, 1.0]], text)
    say(text)
    with bar(text) as progress:
        progress(1, 2)
    assert capsys.readouterr().out.count(text) == 4
