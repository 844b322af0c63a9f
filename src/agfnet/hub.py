"""Bundles on a model hub, through the hub's own client. Nothing else in the package uses a network.

The client reads the user's token from where its own login command has put it.
"""

from __future__ import annotations

from pathlib import Path

from huggingface_hub import HfApi, snapshot_download
from huggingface_hub.errors import HfHubHTTPError, HFValidationError

from agfnet.bundle import read_bundle
from agfnet.errors import BundleError
from agfnet.files import SUMS


def push(folder: str | Path, repo: str, *, private: bool) -> str:
    """Upload a verified bundle, and nothing else of its folder; the address of the repository.

    Raises:
        BundleError: not a sound bundle, or the hub refuses.
    """
    bundle = read_bundle(folder)
    api = HfApi()
    try:
        address = api.create_repo(repo, private=private, exist_ok=True)
        api.upload_folder(
            repo_id=repo,
            folder_path=bundle.folder,
            allow_patterns=[*bundle.files, SUMS],
            commit_message="agfnet bundle",
        )
    except (HfHubHTTPError, HFValidationError, OSError) as error:
        raise BundleError(f"{repo}: the hub refused: {error}") from error
    return str(address)


def pull(repo: str, folder: str | Path) -> None:
    """Download a bundle and verify it.

    Raises:
        BundleError: the hub refuses, or what came is no sound bundle.
    """
    try:
        snapshot_download(
            repo,
            local_dir=folder,
            allow_patterns=["*.json", "*.md", "*.onnx", "*.safetensors", SUMS],
        )
    except (HfHubHTTPError, HFValidationError, OSError) as error:
        raise BundleError(f"{repo}: the hub refused: {error}") from error
    read_bundle(folder)
