"""The rules of the house, read from the source."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent / "reconciler"
FILES = {str(path.relative_to(ROOT)): ast.parse(path.read_text()) for path in sorted(ROOT.rglob("*.py"))}
PACKAGES = ("core", "kinds", "manifest", "engine", "adapters", "sandbox", "cli")
MAY_IMPORT = {
    "core": ("reconciler.core",),
    "kinds": ("reconciler.core",),
    "manifest": ("reconciler.manifest", "reconciler.core"),
    "engine": ("reconciler.engine", "reconciler.core"),
    "adapters": ("reconciler.adapters", "reconciler.core"),
    "sandbox": ("reconciler.sandbox",),
    "cli": ("reconciler",),
}
"""Which modules of ours a package may import, by prefix."""
HOMES = {
    "httpx": ("adapters", "sandbox"),
    "aiohttp": ("adapters",),
    "yarl": ("adapters",),
    "web3": ("adapters", "sandbox"),
    "eth_abi": ("adapters", "sandbox"),
    "eth_account": ("adapters", "sandbox"),
    "eth_hash": ("kinds", "adapters", "sandbox"),
    "eth_keys": ("adapters", "sandbox"),
    "eth_typing": ("adapters", "sandbox"),
    "eth_utils": ("adapters", "sandbox"),
    "rlp": ("adapters", "sandbox"),
    "pyotp": ("adapters", "sandbox"),
    "tenacity": ("adapters", "sandbox"),
    "hexbytes": ("adapters", "sandbox"),
    "coincurve": ("adapters", "sandbox"),
    "jwt": ("sandbox",),
    "starlette": ("sandbox",),
    "uvicorn": ("sandbox",),
    "ruamel": ("manifest",),
    "click": ("cli",),
    "rich": ("cli",),
    "platformdirs": ("cli", "sandbox"),
    "pydantic": ("core", "kinds", "manifest", "sandbox"),
    "pydantic_core": ("adapters",),
    "deepdiff": ("core",),
    "msgspec": ("core", "sandbox"),
    "cronsim": ("core",),
    "segno": ("cli",),
}
"""Every library of others, and the packages that may know it. A new one must be given a home here first."""
LONGEST_FILE, LONGEST_FUNCTION = 400, 60
SLOW = ("web3", "eth_account", "eth_hash", "httpx", "importlib.metadata", "starlette", "cronsim")
"""Never imported by what must start fast."""


def _package(name: str) -> str:
    return name.split("/", maxsplit=1)[0] if "/" in name else ""


def _imports(tree: ast.AST) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Each imported module, and the names taken from it; imports inside functions too."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name, ()) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "relative imports hide where things come from"
            yield node.module or "", tuple(alias.name for alias in node.names)


OURS = [
    (name, module, names) for name, tree in FILES.items() for module, names in _imports(tree) if "reconciler" in module
]
THEIRS = [(name, module) for name, tree in FILES.items() for module, _ in _imports(tree) if "reconciler" not in module]


def test_every_package_is_known() -> None:
    found = {path.name for path in ROOT.iterdir() if path.is_dir() and any(path.glob("*.py"))}
    assert found == set(PACKAGES)


@pytest.mark.parametrize("package", PACKAGES)
def test_packages_import_only_in_the_right_direction(package: str) -> None:
    allowed = MAY_IMPORT[package]
    for name, module, names in OURS:
        if _package(name) != package:
            continue
        for wanted in [f"{module}.{each}" for each in names] or [module]:
            fits = any(wanted == prefix or wanted.startswith(f"{prefix}.") for prefix in allowed)
            # The manifest may ask the registry for its kinds, but know none of them.
            registry = package == "manifest" and wanted == "reconciler.kinds.discover"
            assert fits or registry or _ground(name, wanted), f"{name} imports {wanted}"


def _ground(name: str, wanted: str) -> bool:
    """Whether it is what the kinds of one protocol stand on, and one of them wants it."""
    package, *world, _ = name.split("/")
    return package == "kinds" and wanted.startswith(".".join(("reconciler.kinds", *world, "ground.")))


def test_nothing_but_the_command_line_knows_the_sandbox() -> None:
    users = {_package(name) for name, module, _ in OURS if module.startswith("reconciler.sandbox")}
    assert users <= {"cli", "sandbox"}


def test_libraries_stay_in_their_homes() -> None:
    for name, module in THEIRS:
        library = module.split(".")[0]
        if library in sys.stdlib_module_names:
            continue
        assert library in HOMES, f"{name} imports {module}, which has no home"
        assert _package(name) in HOMES[library], f"{name} imports {module}"


def test_every_package_says_what_belongs_there() -> None:
    silent = [name for name, tree in FILES.items() if name.endswith("__init__.py") and not ast.get_docstring(tree)]
    assert not silent


def test_every_module_says_what_it_is_for() -> None:
    assert not [name for name, tree in FILES.items() if not ast.get_docstring(tree)]


def test_nothing_prints_and_no_import_is_for_types_only() -> None:
    for name, tree in FILES.items():
        for node in ast.walk(tree):
            calls_print = isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "print"
            assert not calls_print, f"{name}:{node.lineno} prints"  # type: ignore[attr-defined]
            assert not (isinstance(node, ast.Name) and node.id == "TYPE_CHECKING"), name


def test_the_core_and_the_kinds_are_pure() -> None:
    impure = {"asyncio", "time", "random", "os", "socket", "subprocess", "pathlib", "logging", "threading", "secrets"}
    for name, module in THEIRS:
        assert _package(name) not in ("core", "kinds") or module.split(".")[0] not in impure, f"{name} imports {module}"


def test_no_file_is_a_giant() -> None:
    lengths = {name: len((ROOT / name).read_text().splitlines()) for name in FILES}
    assert not {name: length for name, length in lengths.items() if length > LONGEST_FILE}


def test_no_function_is_a_giant() -> None:
    giants = {
        f"{name}:{node.name}": length
        for name, tree in FILES.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and (length := (node.end_lineno or 0) - node.lineno + 1) > LONGEST_FUNCTION
    }
    assert not giants


@pytest.mark.parametrize("arguments", [["--help"], ["validate"]])
def test_what_must_start_fast_imports_nothing_heavy(arguments: list[str], tmp_path: Path) -> None:
    fleet = 'apiVersion: fleetctl/v1\nkind: Fleet\nname: a\nnetwork: sandbox\noperator: {address: "0x%s1"}\n'
    (tmp_path / "fleet.yaml").write_text(fleet % ("0" * 39) + "machines: []\n")
    program = f"""\
import sys
from reconciler.cli.main import main
sys.argv[1:] = {arguments!r}
try:
    main()
except SystemExit:
    pass
sys.stderr.write("loaded: " + " ".join(name for name in {SLOW!r} if name in sys.modules))
"""
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, timeout=30, check=True
    )
    assert done.stderr.endswith("loaded: "), done.stderr


def test_the_example_of_a_fast_start_is_a_good_manifest(tmp_path: Path) -> None:
    """Else the test above would only show that mistakes are told fast."""
    fleet = 'apiVersion: fleetctl/v1\nkind: Fleet\nname: a\nnetwork: sandbox\noperator: {address: "0x%s1"}\n'
    (tmp_path / "fleet.yaml").write_text(fleet % ("0" * 39) + "machines: []\n")
    command = [sys.executable, "-m", "reconciler", "validate"]
    assert subprocess.run(command, cwd=tmp_path, capture_output=True, timeout=30, check=False).returncode == 0
