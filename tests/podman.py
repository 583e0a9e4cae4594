"""Containers that are really run: podman, which speaks docker's command line, with images that are built here.

Needs root, Debian's podman, runc, buildah and mmdebstrap, and a mirror of Debian for the images' base, which is kept.
"""

import os
import shutil
import subprocess
from pathlib import Path
from typing import Final

import pytest

HERE: Final = Path(__file__).parent / "containers"
NEEDED: Final = ("podman", "runc", "buildah", "mmdebstrap")
BASE: Final = "localhost/breakeven-test-debian"
IMAGE: Final = "localhost/breakeven-test-llamacpp"
PACKAGES: Final = "python3,python3-pip,python3-venv,ca-certificates,libgomp1"
CONFIGURATION: Final = """[containers]
default_ulimits = ["nofile=1024:1024", "nproc=1024:1024"]
[engine]
runtime = "runc"
"""


class Containers:
    """podman under docker's name, with the image, and what runs; skips with its reason where it cannot be."""

    def __init__(self, folder: Path) -> None:
        missing = [name for name in NEEDED if shutil.which(name) is None]
        if missing or os.geteuid() != 0:
            pytest.skip(f"containers need root and {', '.join(missing or NEEDED)} (apt-get install {' '.join(NEEDED)})")
        configuration, self.bin, self._folder = folder / "containers.conf", folder / "bin", folder
        configuration.write_text(CONFIGURATION)
        self.bin.mkdir()
        shim = self.bin / "docker"
        shim.write_text(f'#!/bin/sh\nCONTAINERS_CONF={configuration} exec podman "$@"\n')
        shim.chmod(0o755)
        self.environment = {"PATH": f"{self.bin}:{os.environ['PATH']}"}
        self._make_base()
        self._make_llamacpp()

    def does(self, *words: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run([self.bin / "docker", *words], capture_output=True, text=True, check=False)

    def docker(self, *words: str) -> str:
        done = self.does(*words)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def names(self) -> list[str]:
        """Containers that are there, running or not."""
        return self.docker("ps", "--all", "--format", "{{.Names}}").split()

    def ours(self) -> list[str]:
        return [name for name in self.names() if name.startswith("breakeven-llamacpp-")]

    def _make_base(self) -> None:
        """Debian with Python, from the machine's own mirror; kept by podman for the next time."""
        if self.docker("images", "--quiet", BASE):
            return
        root = str(self._folder / "root.tar")
        words = ["mmdebstrap", "--variant=minbase", f"--include={PACKAGES}", "bookworm", root]
        done = subprocess.run(words, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            pytest.skip(f"no base image: {done.stderr.strip().splitlines()[-1]}")
        self.docker("import", root, BASE)

    def _make_llamacpp(self) -> None:
        import xllamacpp

        context = self._folder / "context"
        shutil.copytree(Path(xllamacpp.__file__).parent, context / "xllamacpp")
        for path in HERE.iterdir():
            shutil.copy(path, context)
        self.build("-t", IMAGE, str(context))

    def build(self, *words: str) -> None:
        """buildah's own words after `bud`."""
        done = subprocess.run(
            ["buildah", "bud", "--isolation", "chroot", *words], capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
