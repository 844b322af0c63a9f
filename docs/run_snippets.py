"""Run the commands of the tutorials: every `sh` block of a page, in order, in an empty folder.

    python docs/run_snippets.py docs/tutorials/*.md

Blocks that are shown but not run are `console`.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path


def snippets(page: str) -> str:
    """Return the `sh` blocks of a page as one script."""
    return "\n".join(re.findall(r"^```sh\n(.*?)^```", page, flags=re.S | re.M))


def main() -> None:
    """Run the pages that are named; stop at the first command that fails."""
    for name in sys.argv[1:]:
        script = snippets(Path(name).read_text(encoding="utf-8"))
        start = time.monotonic()
        with tempfile.TemporaryDirectory() as folder:
            done = subprocess.run(
                ["bash", "-euo", "pipefail", "-c", script],
                cwd=folder,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
            )
        if done.returncode:
            sys.exit(f"{done.stdout}\n{name}: a command failed")
        sys.stdout.write(f"{name}: {time.monotonic() - start:.0f} s\n")


if __name__ == "__main__":
    main()
