"""Run the commands of the tutorials: every `sh` block of a page, in order, in an empty folder.

    python docs/run_snippets.py docs/tutorials/*.md --json docs/results/tutorials.json

Blocks that are shown but not run are `console`. The time of each page is printed, and its CPU time,
which other programs on the machine change little; with `--json`, both are written to that file.
"""

from __future__ import annotations

import argparse
import json
import re
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path


def snippets(page: str) -> str:
    """Return the `sh` blocks of a page as one script."""
    return "\n".join(re.findall(r"^```sh\n(.*?)^```", page, flags=re.S | re.M))


def cpu_seconds() -> float:
    """Return the CPU seconds of all processes that this one has waited for."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def main() -> None:
    """Run the pages that are named; stop at the first command that fails."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("pages", nargs="+", type=Path)
    parser.add_argument("--json", type=Path, help="file for the times; other pages stay in it")
    arguments = parser.parse_args()
    for page in arguments.pages:
        start, cpu = time.monotonic(), cpu_seconds()
        with tempfile.TemporaryDirectory() as folder:
            done = subprocess.run(
                ["bash", "-euo", "pipefail", "-c", snippets(page.read_text(encoding="utf-8"))],
                cwd=folder,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
            )
        if done.returncode:
            sys.exit(f"{done.stdout}\n{page}: a command failed")
        seconds, cpu = time.monotonic() - start, cpu_seconds() - cpu
        sys.stdout.write(f"{page}: {seconds:.0f} s, CPU {cpu:.0f} s\n")
        if arguments.json:
            file = arguments.json
            rows = json.loads(file.read_text()) if file.is_file() else []
            rows = [row for row in rows if row["page"] != page.stem]
            rows.append({"page": page.stem, "seconds": round(seconds), "cpu": round(cpu)})
            file.write_text(json.dumps(sorted(rows, key=lambda row: row["page"]), indent=2) + "\n")


if __name__ == "__main__":
    main()
