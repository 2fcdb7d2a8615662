"""What plan and apply ask and are told about machines that leave the fleet."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar

import click

from reconciler.cli.wiring import Project
from reconciler.core.address import Address
from reconciler.core.kind import AnyKind, Resource

F = TypeVar("F", bound=Callable[..., Any])


def scan_option(command: F) -> F:
    return click.option("--scan", is_flag=True, help="Look for machines of ours on the whole chain")(command)


def removal_options(command: F) -> F:
    """--scan, and --max-removals."""
    most = click.IntRange(min=0)
    limit = click.option("--max-removals", type=most, help="Let this once so many resources be removed or deactivated")
    return scan_option(limit(command))


def meet(project: Project, strays: Iterable[Resource]) -> None:
    """Tell the keyring who strays are: their keys may be where `formerKeys` says."""
    for stray in strays:
        for signer, account in stray.kind.accounts(stray.spec):
            project.keyring.meet(signer, account)


def unmanaged(project: Project, strays: Iterable[Resource]) -> frozenset[Address]:
    """Strays that are shown and left alone."""
    return frozenset(s.address for s in strays if not s.kind.pruned(s.spec, project.fleet))


def protected(project: Project, resources: Iterable[Resource]) -> Mapping[Address, str]:
    """Why resources of protected machines may not be removed, by address."""
    why = {
        machine.name: _why(project, index) for index, machine in enumerate(project.fleet.machines) if machine.protect
    }
    return {
        resource.address: why[machine]
        for resource in resources
        if _about_machines(resource.kind) and (machine := resource.address.name.partition("/")[0]) in why
    }


def _why(project: Project, index: int) -> str:
    problem = project.manifest.problem(("machines", index, "protect"), "")
    return f"protected by `protect: true` at {problem.file}:{problem.line}; take that out first"


def _about_machines(kind: AnyKind) -> bool:
    """Operators and policies may bear the name of a machine, and say nothing about one."""
    return any(place.partition(".")[0] == "machine" for place in kind.sections)
