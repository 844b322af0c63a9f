"""Start the processes of a training on this machine, through the agent of torchrun."""

from __future__ import annotations

import logging
import pickle
import signal
import sys
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from torch.distributed.elastic.multiprocessing.api import SignalException
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
from torch.distributed.launcher.api import LaunchConfig, elastic_launch

from agfnet.config import TrainConfig
from agfnet.errors import AgfnetError, ConfigError, RunError, StoppedError
from agfnet.files import replacing
from agfnet.training.stopping import SIGNALS

ERROR = "error"


def launch(config: TrainConfig, plan: Sequence[Mapping[str, Any]], *, progress: bool) -> None:
    """Train with `config.fit.devices` processes.

    Raises:
        AgfnetError: the error of one of them.
        RunError: one of them was killed.
        StoppedError: a signal of a scheduler has stopped them.
    """
    if config.fit.nodes > 1:
        raise ConfigError(
            f"fit.nodes: {config.fit.nodes}, but this is one process; start one on each machine,"
            " with torchrun or with a scheduler, as in docs/scale.md"
        )
    settings = LaunchConfig(
        min_nodes=1,
        max_nodes=1,
        nproc_per_node=config.fit.devices,
        run_id=uuid.uuid4().hex,
        rdzv_backend="c10d",
        rdzv_endpoint="localhost:0",
        max_restarts=0,
        signals_to_handle=",".join(("SIGINT", *(signal.Signals(s).name for s in SIGNALS))),
    )
    logging.getLogger("torch.distributed.elastic").setLevel(logging.CRITICAL)
    with TemporaryDirectory() as folder:
        file = Path(folder) / "training"
        file.write_bytes(pickle.dumps((config, plan, progress)))
        try:
            elastic_launch(settings, sys.executable)("-m", __name__, str(file))
        except SignalException as error:
            raise StoppedError(
                f"stopped by {error.sigval.name}; to continue, run the same command with --resume"
            ) from error
        except ChildFailedError as error:
            if (file.with_name(ERROR)).is_file():
                raise pickle.loads(file.with_name(ERROR).read_bytes()) from None
            rank, failure = error.get_first_failure()
            raise RunError(
                f"{Path(config.runs) / config.name}: process {rank} of the training ended with exit"
                f" code {failure.exitcode}; to continue, run the same command with --resume"
            ) from error


def main(file: Path) -> int:
    """Train as one of the processes; leave an error for the process that started them."""
    from agfnet.training.fit import fit

    config, plan, progress = pickle.loads(file.read_bytes())
    try:
        fit(config, plan=plan, progress=progress)
    except AgfnetError as error:
        with replacing(file.with_name(ERROR)) as path:
            path.write_bytes(pickle.dumps(error))
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
