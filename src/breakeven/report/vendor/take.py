"""Take the chart libraries again: `python take.py`. Needs npm, which fetches them from the registry it is set to.

The versions and the SHA-256 of what lies here are in vendor.json, which this script writes; look at the difference
before you commit it.
"""

import hashlib
import io
import json
import subprocess
import tarfile
import tempfile
from pathlib import Path

WANTED = (
    ("d3", "7.9.2", "dist/d3.min.js", "d3.min.js"),
    ("@observablehq/plot", "0.6.17", "dist/plot.umd.min.js", "plot.umd.min.js"),
)
"""Package, version, file in the package, file here."""
HERE = Path(__file__).parent


def take(name: str, version: str, *, inside: str, file: str) -> dict[str, str]:
    """Pack one package, keep its built file and its licence, and say what was taken."""
    with tempfile.TemporaryDirectory() as folder:
        command = ["npm", "pack", f"{name}@{version}", "--json", "--pack-destination", folder]
        packed = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)[0]
        archive = (Path(folder) / packed["filename"].replace("@", "").replace("/", "-")).read_bytes()
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        built, licence, about = (_file(tar, part) for part in (inside, "LICENSE", "package.json"))
    (HERE / file).write_bytes(built)
    (HERE / f"{file.partition('.')[0]}.LICENSE").write_bytes(licence)
    return {
        "package": name,
        "version": version,
        "licence": json.loads(about)["license"],
        "file": file,
        "sha256": hashlib.sha256(built).hexdigest(),
        "archive_integrity": packed["integrity"],
    }


def _file(tar: tarfile.TarFile, name: str) -> bytes:
    member = tar.extractfile(f"package/{name}")
    assert member is not None
    return member.read()


if __name__ == "__main__":
    taken = [take(name, version, inside=inside, file=file) for name, version, inside, file in WANTED]
    (HERE / "vendor.json").write_text(json.dumps(taken, indent=2) + "\n", encoding="utf-8")
