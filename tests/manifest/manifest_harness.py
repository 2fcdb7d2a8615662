"""A small manifest to build on, and a way to read its problems."""

from collections.abc import Mapping
from pathlib import Path

from eth_utils.address import to_checksum_address

from reconciler.core.errors import ManifestError, Problem
from reconciler.kinds import discover
from reconciler.manifest.parse import Manifest, load

KINDS = discover()
HEAD = """\
apiVersion: fleetctl/v1
kind: Fleet
name: berlin
network: sandbox
operator: {key: {env: KEY}, address: "0x000000000000000000000000000000000000000e"}
"""
EXAMPLE = (Path(__file__).parent / "example.yaml").read_text()


def address(number: int) -> str:
    return f"0x{number:040x}"


def checksum(text: str) -> str:
    return str(to_checksum_address(text))


def write(directory: Path, text: str, files: Mapping[str, str] | None = None) -> Path:
    for name, content in {"fleet.yaml": text, **(files or {})}.items():
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content, encoding="utf-8", newline="")
    return directory / "fleet.yaml"


def read(
    directory: Path, text: str, files: Mapping[str, str] | None = None, environ: Mapping[str, str] | None = None
) -> Manifest:
    return load(write(directory, text, files), KINDS, environ, checksum=checksum)


def problems(
    directory: Path, text: str, files: Mapping[str, str] | None = None, environ: Mapping[str, str] | None = None
) -> list[Problem]:
    """What is wrong; an empty list where nothing is."""
    try:
        read(directory, text, files, environ)
    except ManifestError as error:
        return list(error.problems)
    return []


def example(directory: Path) -> Path:
    """The fleet of the handbook, whole."""
    files = {
        "sensors.csv": f"id,address\n101,{address(0x101)}\n102,{address(0x102)}\n",
        "sites/a.yaml": f'machines:\n  - name: site-a\n    address: "{address(0x201)}"\n',
    }
    return write(directory, EXAMPLE, files)
