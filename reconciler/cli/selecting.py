"""`--only` and `--skip`: the options, and a selection checked against a project."""

from collections.abc import Mapping
from typing import Any

import click

from reconciler.cli.options import F
from reconciler.cli.wiring import Project
from reconciler.core.kind import Resource
from reconciler.core.saved import SavedChoice
from reconciler.core.selection import Describe, Scope, Selection, Subject, Term, parse, scope
from reconciler.core.value import Value

Terms = tuple[tuple[Term, ...], ...]


class Choice(Value):
    """What a plan is to be about, as the options say, or as a saved plan remembers them."""

    only: Terms = ()
    skip: Terms = ()
    scan: bool = False

    @classmethod
    def of(cls, given: Mapping[str, Any]) -> "Choice":
        return cls(given["only"], given["skip"], given["scan"])

    @classmethod
    def read(cls, saved: SavedChoice) -> "Choice":
        return cls(tuple(map(parse, saved.only)), tuple(map(parse, saved.skip)), saved.scan)

    def data(self) -> dict[str, Any]:
        only, skip = ([",".join(map(str, terms)) for terms in each] for each in (self.only, self.skip))
        return {"only": only, "skip": skip, "scan": self.scan}


class TermsType(click.ParamType):  # type: ignore[type-arg,unused-ignore]
    name = "what"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[Term, ...]:
        try:
            return parse(value)
        except ValueError as error:
            self.fail(str(error), param, ctx)


def selects(command: F) -> F:
    """Adds --only and --skip, which reach the command as Terms."""
    what = "MACHINE, machine=, label=NAME=, kind= or file=, with * and ?; may be repeated"
    skip = click.option("--skip", type=TermsType(), multiple=True, help="Leave this out, whatever --only says")
    return click.option("--only", type=TermsType(), multiple=True, help=f"Only this and what it needs: {what}")(
        skip(command)
    )


def selected(project: Project, only: Terms, skip: Terms) -> Selection:
    """ConfigError where something is named that the manifest does not have."""
    selection = Selection(tuple(term for terms in only for term in terms), skip)
    if selection:
        describe = describing(project)
        selection.check([describe(resource) for resource in project.resources])
    return selection


def scope_of(project: Project, selection: Selection) -> Scope:
    return scope(selection, project.resources, describing(project))


def describing(project: Project) -> Describe:
    """How the resources of a project are told apart by those who choose."""
    machines = {
        machine.name: (machine.labels, project.manifest.files_of(index))
        for index, machine in enumerate(project.fleet.machines)
    }

    def describe(resource: Resource) -> Subject:
        labels, files = machines.get(resource.machine, ({}, ()))
        return Subject(resource.address.kind, resource.machine, labels, files)

    return describe
