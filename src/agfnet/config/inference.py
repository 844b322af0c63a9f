"""Settings of bundles and of what answers with them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from agfnet.config.checks import check, shard_of
from agfnet.errors import ConfigError

Backend = Literal["auto", "torch", "onnx", "int8"]


@dataclass(frozen=True)
class PredictConfig:
    """Diagnose one lesion, or every lesion of a table. Research use only."""

    model: str
    """Bundle, or run folder that has one."""
    images: dict[str, str] | None = None
    """One lesion: image file of each modality, as in `--images.clinical photo.jpg
    --images.ultrasound scan.dcm`; several files of one modality are joined by `|`, and `scan.dcm#3`
    is one frame of a file, counted from 0."""
    cases: str | None = None
    """Many lesions: a cases table, labelled or not, of any length. The same command goes on where
    an earlier one was stopped."""
    out: str = "predictions.csv"
    """Where the predictions of a table go; beside it, `frames.csv` has those of each frame, and
    `decisions.csv` what follows from them (`x_frames.csv` and `x_decisions.csv` beside `x.csv`)."""
    shard: str | None = None
    """Answer the i-th of n shares of the table, as in `2/8`, into files with that in their names
    (`predictions_2-of-8.csv`): for the tasks of a job array."""
    on_error: Literal["stop", "skip"] = "stop"
    """At an image that cannot be read: `stop`, or `skip` its lesion, list it in `problems.csv` (or
    `x_problems.csv`) and end with exit code 1."""
    picture: str | None = None
    """Where a picture of the answer for one lesion goes (PNG, PDF or SVG)."""
    backend: Backend = "auto"
    """What runs the network: `torch`, or a graph that `agfnet export` has made, `onnx` or `int8`.
    `auto` is `onnx` where the bundle has it, and torch elsewhere."""

    def __post_init__(self) -> None:
        if (self.images is None) == (self.cases is None):
            raise ConfigError("give either --images.MODALITY FILE for one lesion, or --cases TABLE")
        if self.cases is not None and self.picture is not None:
            raise ConfigError("--picture goes with --images.MODALITY, not with --cases")
        if self.shard is not None:
            shard_of(self.shard, "shard")
            if self.cases is None:
                raise ConfigError("shard: goes with --cases TABLE")


@dataclass(frozen=True)
class ExportConfig:
    """Add an ONNX graph to a run's bundle: predicts without torch, and faster on a CPU."""

    run: str
    """Run folder."""
    cases: str | None = None
    """Cases table with a train and a val split; the run's own table if unset."""
    standard: bool = False
    """Use only operators of the ONNX standard, for other runtimes than ONNX Runtime, in which the
    graph then is a little slower."""
    int8: bool = False
    """Add an int8 copy as well, calibrated on training cases and measured on the val split."""
    max_loss: float = 0.005
    """Most balanced accuracy that int8 may cost (0.005 is half a point); it is not kept if it costs
    more."""

    def __post_init__(self) -> None:
        check(self, 0, 1, "max_loss")


@dataclass(frozen=True)
class ServeConfig:
    """Serve a bundle: a page for people and an API for programs."""

    bundle: str
    """Bundle, or run folder that has one."""
    host: str = "127.0.0.1"
    """Address to listen on: this machine only unless set, as to `0.0.0.0` in a container."""
    port: int = 8000
    """Port to listen on; 0 takes a free one."""
    hosts: list[str] = field(default_factory=lambda: ["localhost", "127.0.0.1", "[::1]"])
    """Names under which the server may be asked for, without port; others are refused, so that no
    foreign web page reaches it by a name of its own. `[*]` allows all."""
    token_file: str | None = None
    """File with the token (16 characters or more) that a request must carry; what the environment
    variable AGFNET_TOKEN holds if unset, and none is needed if that is not set either."""
    backend: Backend = "auto"
    """What runs the network, as in `predict`."""
    spool: str | None = None
    """Folder for uploads while they are worked on; memory (/dev/shm) if unset and there is such,
    else the folder for temporary files."""
    workers: int | None = None
    """Processes that read images and run the network, each at one lesion; one per core, up to
    four, if unset."""
    worker_mb: int = 4096
    """Megabytes of memory that a worker may take, against files that unpack to more."""
    queue: int | None = None
    """Requests that may wait beside those at work; more are told to come back. As many as
    workers if unset."""
    wait_s: float = 10
    """Longest wait for a worker, seconds."""
    work_s: float = 60
    """Longest work on a request, seconds; then its worker is ended and started anew."""
    upload_s: float = 60
    """Longest time that a request may take to arrive, seconds."""
    shutdown_s: int = 60
    """Seconds that requests in hand get to finish when the server is told to stop."""
    request_mb: int = 64
    """Megabytes of a request with one lesion."""
    files: int = 32
    """Image files of a lesion."""
    megapixels: float = 50
    """Size of an image, or of a frame, in millions of pixels."""
    frames: int = 256
    """Frames of a lesion, over all its files."""
    batch_mb: int = 512
    """Megabytes of a batch as it is sent."""
    batch_upload_s: float = 600
    """Longest time that a batch may take to arrive, seconds."""
    batch_unpacked_mb: int = 2048
    """Megabytes of its files."""
    batch_files: int = 20000
    """Files in its zip."""
    batches: int = 4
    """Batches that are kept at the same time."""
    batch_keep_s: float = 3600
    """Seconds that the tables of a finished batch are kept, in memory."""

    def __post_init__(self) -> None:
        check(self, 0, 65535, "port")
        check(self, 1, 256, "workers")
        check(self, 256, 1e6, "worker_mb")
        check(self, 0, 1e4, "queue")
        check(self, 0.1, 3600, "wait_s", "work_s", "upload_s", "batch_upload_s")
        check(self, 0, 3600, "shutdown_s")
        check(self, 1, 1e6, "request_mb", "batch_mb", "batch_unpacked_mb", "batch_files")
        check(self, 1, 1e4, "files", "frames")
        check(self, 0.01, 150, "megapixels")  # more is refused wherever an image is read
        check(self, 0, 1e3, "batches")
        check(self, 1, 1e6, "batch_keep_s")


@dataclass(frozen=True)
class BundleActionConfig:
    """Show a bundle, verify its files, or move it to and from a model hub."""

    action: Literal["show", "verify", "push", "pull"]
    """`show` what it holds; `verify` every file against its SHA-256; `push` it to a repository of a
    model hub, or `pull` it from one (the only commands that use a network)."""
    folder: str
    """Bundle, or run folder that has one; for `pull`, the folder to write."""
    repo: str | None = None
    """Repository on the hub, `owner/name`."""
    private: bool = True
    """`push` makes a new repository private."""
