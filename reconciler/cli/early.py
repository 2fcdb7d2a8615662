"""What is said before a command's own modules are imported, which takes longer than all that comes before it."""

import click

from reconciler.cli.options import Options, common, merge

TELLING = ("plan", "apply", "drift", "status", "preflight")
"""Commands that read the world, and so import what can."""


def announce(ctx: click.Context, name: str, arguments: list[str]) -> None:
    """One line on stderr for a command that takes a while to begin; nothing where it is to be quiet or shows help."""
    if name not in TELLING or {"-h", "--help"} & set(arguments):
        return
    options = _given(ctx, arguments)
    if not options.quiet:
        click.echo(f"Reading {options.file} …", err=True)


def _given(ctx: click.Context, arguments: list[str]) -> Options:
    """The common options among arguments whose others are not known yet."""

    @click.command(add_help_option=False, context_settings={"ignore_unknown_options": True, "allow_extra_args": True})
    @common
    def some(**_: object) -> None: ...

    before = merge(ctx, ctx.params)
    inner = some.make_context("", list(arguments), parent=ctx, resilient_parsing=True, obj=before)
    return merge(inner, inner.params)
