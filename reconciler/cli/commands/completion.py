"""fleetctl completion: the script that makes a shell complete fleetctl's commands, options and machines."""

import click
from click.shell_completion import get_completion_class

from reconciler.cli.options import Command, Options

VARIABLE = "_FLEETCTL_COMPLETE"


@click.command("completion", cls=Command)
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def command(ctx: click.Context, options: Options, shell: str) -> int:
    """Print the completion script of a shell.

    \b
    bash  echo 'source <(fleetctl completion bash)' >> ~/.bashrc
    zsh   echo 'source <(fleetctl completion zsh)' >> ~/.zshrc
    fish  fleetctl completion fish > ~/.config/fish/completions/fleetctl.fish
    """
    found = get_completion_class(shell)
    if found is None:
        raise click.UsageError(f"this version of click knows no completion for {shell}")
    script = found(ctx.find_root().command, {}, "fleetctl", VARIABLE)
    click.echo(script.source_template % script.source_vars())
    return 0
