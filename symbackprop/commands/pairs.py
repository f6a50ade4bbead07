"""`fold`, `bias`: what follows where one layer stands behind another."""

from __future__ import annotations

import click


@click.command()
@click.argument("first", metavar="FIRST")
@click.argument("second", metavar="SECOND")
def fold(first: str, second: str) -> None:
    """Derive the parameters of FIRST that take in what SECOND does, as batch norm with given statistics.

    symbackprop fold conv2d batchnorm2d_evaluation
    """
    from symbackprop.analysis.fold import fold as folded
    from symbackprop.build import load
    from symbackprop.notation.printer import broken, to_text

    found = folded(load(first), load(second))
    for number, step in enumerate(found.steps, start=1):
        click.echo(f"{number}. {step.reason[0].upper()}{step.reason[1:]}.\n")
        for line in broken(step.equation, 112):
            click.echo(f"    {line}")
        click.echo()
    click.echo(to_text(found.layer))
    click.echo(f"Proved: both are equal at {found.points} elements, modulo a prime of 60 bits at random points.")


@click.command()
@click.argument("first", metavar="FIRST")
@click.argument("second", metavar="SECOND")
@click.option("--parameter", default="bias", show_default=True, help="An input of FIRST.")
def bias(first: str, second: str, parameter: str) -> None:
    """Say whether the gradient of a bias of FIRST vanishes behind SECOND, as a tied one does behind batch norm.

    symbackprop bias conv2d batchnorm2d; symbackprop bias untied_conv2d batchnorm2d
    """
    from symbackprop.analysis.bias import worth
    from symbackprop.build import load
    from symbackprop.notation.printer import to_text

    found = worth(load(first), load(second), parameter)
    click.echo(to_text(found.layer))
    verdict = "vanishes: the parameter is redundant there" if found.vanishes else "does not vanish"
    click.echo(f"The gradient of {parameter} {verdict}.")
    click.echo(f"It is zero at {found.zeros} of {found.elements} elements, modulo a prime of 60 bits at random points.")
