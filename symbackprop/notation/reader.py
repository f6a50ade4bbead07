"""From `.eq` text to a `Layer`.

| step | does |
| --- | --- |
| `syntax.statements` | bounds, brackets, grammar |
| `Declarations` | every name gets its one meaning; inputs, parameters, sizes, ranges, requirements |
| `resolve_extents` | how far each index runs |
| `_definitions` | the equations, each checked where it stands |
"""

from __future__ import annotations

import keyword
import os

from symbackprop.errors import NotationError
from symbackprop.notation import nodes as n
from symbackprop.notation.declarations import Declarations
from symbackprop.notation.fits import Signs
from symbackprop.notation.layer import Definition, Layer, Range, Tensor
from symbackprop.notation.meaning import Context, Meaning
from symbackprop.notation.names import did_you_mean
from symbackprop.notation.nodes import Expr
from symbackprop.notation.printer import expression
from symbackprop.notation.scope import resolve_extents
from symbackprop.notation.syntax import MAX_TEXT, Source, Statement, split_lines, statements


def read(text: str, file: str = "<text>") -> Layer:
    """The layer that an equation text states.

    Raises: NotationError with the place, what was expected and what to write instead.
    """
    source = split_lines(text, file)
    return _Reading(source, list(statements(source))).layer()


def read_file(path: str | os.PathLike[str]) -> Layer:
    """The layer of an equation file (UTF-8).

    Raises: NotationError also where the file cannot be opened, is too long or is not text.
    """
    file = os.fspath(path)
    try:
        with open(file, "rb") as opened:
            data = opened.read(4 * MAX_TEXT + 4)
        text = data.decode("utf-8-sig")
    except OSError as error:
        raise NotationError(f"{file}: the file cannot be read: {error.strerror}") from None
    except UnicodeDecodeError as error:
        if len(data) <= 4 * MAX_TEXT:
            message = f"{file}: the file is not text in UTF-8 (byte {error.start} is 0x{data[error.start]:02x})"
            raise NotationError(message, advice="Save the file as UTF-8.") from None
        text = "x" * (MAX_TEXT + 1)  # too long to be one, text or not
    return read(text, file)


class _Reading:
    """One text on its way to a layer."""

    def __init__(self, source: Source, found: list[Statement]) -> None:
        self.source, self.all = source, found
        self.name = self._name()
        self.declared = Declarations(found)
        self.scope = self.declared.scope

    def layer(self) -> Layer:
        """The layer, every part of it checked."""
        declared = self.declared
        resolve_extents(self.scope, declared.definitions)
        definitions = self._definitions(declared.definitions, declared.signs)
        return Layer(
            name=self.name,
            inputs=declared.inputs,
            parameters=declared.parameters,
            sizes=declared.sizes,
            ranges=(*declared.ranges, *_ranges_lost(declared, definitions)),
            requirements=declared.requirements,
            definitions=definitions,
            outputs=self._outputs(),
            doc=_doc(self.source),
            file=self.source.file,
        )

    def _name(self) -> str:
        if not self.all or self.all[0].kind != "layer":
            place = self.all[0].place() if self.all else None
            message = "the text does not begin with `layer NAME`"
            raise NotationError(
                message if place else f"{self.source.file}: {message}", place, "Begin with `layer NAME`."
            )
        for statement in self.all[1:]:
            if statement.kind == "layer":
                raise statement.error("a second layer begins", advice="Put each layer into its own file.")
        node = self.all[0].parts[0]
        if keyword.iskeyword(node.text) or not node.text.isidentifier() or node.text.startswith("_"):
            message = f"no module can be called {node.text}"
            raise self.all[0].error(message, node, "Begin with a letter, and take no word of Python.")
        return node.text

    def _definitions(self, definitions: list[Statement], signs: Signs) -> tuple[Definition, ...]:
        if not definitions:
            raise NotationError(f"{self.source.file}: the layer has no definition", advice="Write y[i] = ...")
        done: list[Definition] = []
        for statement in definitions:
            done.append(self._definition(statement, [d.name for d in done], signs))
        return tuple(done)

    def _definition(self, statement: Statement, before: list[str], signs: Signs) -> Definition:
        left, right = statement.parts
        meaning = Meaning(self.scope, statement, left.text, before)
        names = self.scope.defined[left.text]
        places = left.parts[0].parts if left.parts else ()
        indices = tuple(meaning.running(place) for place in places)
        body = meaning.read(right, Context("value", names))
        meaning.check_ends()
        self._check_accesses(meaning, signs)
        return Definition(left.text, indices, body, statement.place(left))

    def _check_accesses(self, meaning: Meaning, signs: Signs) -> None:
        seen: set[n.Read] = set()
        for access in meaning.accesses:
            name = access.read.tensor
            tensor = self.scope.tensors.get(name)
            if access.guarded or access.read in seen or (tensor is not None and tensor.outside is not None):
                continue
            seen.add(access.read)
            for axis, (place, position) in enumerate(zip(access.places, access.read.indices, strict=True)):
                extent = self.scope.extent_at(name, axis)
                value = None if extent is None else signs.outside(position, extent)
                if value is not None:
                    message = (
                        f"{meaning.owner} reads {name} outside its axis {self.scope.axes(name)[axis]}: "
                        f"{_reaching(position, value)}, and the axis runs from 0 to "
                        f"{expression(n.subtract(extent or n.ONE, n.ONE))}"
                    )
                    raise meaning.error(place, message, _way_out(tensor, position))

    def _outputs(self) -> tuple[str, ...]:
        outputs: list[str] = []
        for statement, node in self.declared.of("output"):
            if node.kind != "name":
                raise statement.error("an output is named without indices", node, f"Write `output {node.text or 'y'}`.")
            if node.text not in self.scope.defined:
                what = "an input" if node.text in self.scope.tensors else "not defined"
                known = ", ".join(self.scope.defined)
                advice = did_you_mean(node.text, self.scope.defined) or f"Outputs are definitions: {known}."
                raise statement.error(f"output {node.text} is {what}", node, advice)
            if node.text in self.scope.positions:
                message = f"output {node.text} holds positions, which are integers without a gradient"
                raise statement.error(message, node, "An output is a real tensor.")
            if node.text in outputs:
                raise statement.error(f"output {node.text} is named twice", node, "Name it once.")
            outputs.append(node.text)
        if not outputs:
            last = list(self.scope.defined)[-1]
            raise NotationError(f"{self.source.file}: the layer names no output", advice=f"End with `output {last}`.")
        return tuple(outputs)


def _reaching(position: Expr, value: Expr) -> str:
    where, reached = expression(position), expression(value)
    return f"the position is {where}" if where == reached else f"{where} reaches {reached}"


def _way_out(tensor: Tensor | None, position: Expr) -> str:
    if tensor is None:
        return "Give its indices a shorter `range`, or read it under where(...)."
    axes = ", ".join(axis.name for axis in tensor.axes)
    return f"Give {tensor.name} an outside value (`{tensor.name}[{axes}] outside 0`), or its indices a shorter `range`."


def _ranges_lost(declared: Declarations, definitions: tuple[Definition, ...]) -> tuple[Range, ...]:
    """The ranges of indices whose axis stood in a term that is 0: `0*x[h]` says how far h runs, and is gone."""
    parts = [part for d in definitions for part in n.walk(d.body)]
    alone = {i for part in parts if isinstance(part, n.Read) for i in part.indices if isinstance(i, n.Index)}
    bound = (i for part in parts if isinstance(part, n.Reduce | n.Arg) for i in part.indices)
    used = dict.fromkeys((*(i for d in definitions for i in d.indices), *bound))
    ranged = {r.index for r in declared.ranges}
    return tuple(Range(i.name, i.extent) for i in used if i not in alone and i.name not in ranged)


def _doc(source: Source) -> str:
    """The comment before `layer`, or, if there is none, the one right after it."""
    before: list[str] = []
    lines = iter(source.lines)
    for line in lines:
        if line.lstrip().startswith("#"):
            before.append(_uncommented(line))
        elif line.strip():
            break
    if not before:
        for line in lines:
            if not line.lstrip().startswith("#"):
                break
            before.append(_uncommented(line))
    return "\n".join(before).strip()


def _uncommented(line: str) -> str:
    text = line.strip().lstrip("#")
    return text.removeprefix(" ").rstrip()
