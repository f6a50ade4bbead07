"""The command line: `symbackprop COMMAND ...`. Exit status 0: fine; 1: something is wrong; 2: cannot be read or run.

Nothing but click is imported before a command runs, so that `--help` answers at once.
"""

from __future__ import annotations

import os
import shlex
import sys
import traceback
from collections.abc import Sequence
from typing import Any

import click

from symbackprop import __version__
from symbackprop.commands.audit import audit, legend, read_layer
from symbackprop.commands.draw import draw
from symbackprop.commands.examine import check
from symbackprop.commands.inspect import derive, explain, list_layers, show
from symbackprop.commands.measure import bench, tune
from symbackprop.commands.network import summary, train
from symbackprop.commands.pairs import bias, fold
from symbackprop.commands.produce import generate
from symbackprop.errors import CheckFailed, UserError

FINE, WRONG, CANNOT, INTERRUPTED = 0, 1, 2, 130


class Commands(click.Group):
    """A group in which every failure of a command becomes one clear message and an exit status."""

    def invoke(self, ctx: click.Context) -> int:
        """Run the command. Gives: the exit status."""
        try:
            status = super().invoke(ctx)
            sys.stdout.flush()
        except (click.exceptions.Exit, click.ClickException, click.Abort):
            raise
        except BaseException as error:
            if os.environ.get("SYMBACKPROP_DEBUG") == "1":
                traceback.print_exc()
            return explained(error, ctx.obj or ())
        return status if isinstance(status, int) else FINE


def explained(error: BaseException, arguments: Sequence[str] = ()) -> int:
    """Say on standard error what went wrong. Gives: the exit status."""
    match error:
        case BrokenPipeError():
            _silence_output()
            return FINE  # the reader has seen enough
        case KeyboardInterrupt():
            return _say("interrupted", INTERRUPTED)
        case CheckFailed():
            return _say(str(error), WRONG)
        case UserError():
            return _say(str(error), CANNOT)
        case UnicodeDecodeError():
            return _say(f"this is not a text in UTF-8: {error.reason} at byte {error.start}", CANNOT)
        case OSError():
            named = f"{error.filename}: {error.strerror}" if error.filename else str(error)
            return _say(named, CANNOT)
        case MemoryError():
            return _say("out of memory", CANNOT)
        case SystemExit():
            raise error
        case Exception():
            text = " ".join(str(error).split())
            command = shlex.join(["symbackprop", *arguments])
            fault = f"a fault of symbackprop {__version__}, not of yours: {type(error).__name__}: {text}"
            return _say(
                f"{fault}\nplease report it with the command `{command}` (SYMBACKPROP_DEBUG=1 shows where)", CANNOT
            )
        case _:
            raise error


def _say(message: str, status: int) -> int:
    click.echo(f"symbackprop: {message}", err=True)
    return status


def _silence_output() -> None:
    # what is still buffered would fail again, aloud, when the interpreter ends
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, message="%(prog)s %(version)s")
def cli() -> None:
    """Forward equations of a layer in; a checked derivation of its gradients and fast kernels out.

    LAYER is the name of a built-in layer (`symbackprop list`), FILE an equation file (.eq).
    """


for _command in (show, derive, generate, check, bench, list_layers, explain, audit, legend, read_layer):
    cli.add_command(_command)
for _command in (summary, train, fold, bias, draw, tune):
    cli.add_command(_command)


def run(arguments: Sequence[str]) -> int:
    """The command line as a function. Gives: the exit status."""
    given = list(arguments)
    try:
        status: Any = cli.main(given, prog_name="symbackprop", standalone_mode=False, obj=given)
    except click.ClickException as error:
        error.show()
        return CANNOT
    except click.Abort:
        return _say("interrupted", INTERRUPTED)
    return status if isinstance(status, int) else FINE


def main() -> None:
    """The entry point of the installed command."""
    sys.exit(run(sys.argv[1:]))


if __name__ == "__main__":
    main()
