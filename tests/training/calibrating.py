"""One of two processes that calibrate a run which two have trained; see test_processes.py."""

from __future__ import annotations

import pickle
import sys
from pathlib import Path

from agfnet.study import run

run.run_evaluation = lambda *_, **__: None  # type: ignore[assignment]  # the report takes longer
run.run(pickle.loads(Path(sys.argv[1]).read_bytes()), bar=False)
