"""A point: what each name is worth. Sizes, parameters, the elements of inputs; definitions follow from them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from itertools import product
from typing import TypeAlias

from symbackprop.check.arithmetic import Arithmetic, Value
from symbackprop.check.dual import NONE, Dual, DualNumbers, Slopes
from symbackprop.check.exact import Exact, whole
from symbackprop.check.interpret import Interpreter, Key, evaluate, evaluate_exact
from symbackprop.errors import InternalError, UserError
from symbackprop.notation.binding import free_indices
from symbackprop.notation.layer import Definition, Layer
from symbackprop.notation.nodes import Expr, Read

Elements: TypeAlias = dict[Key, Value]
Reader: TypeAlias = Callable[[Key], Value]


class OutsideBox(UserError):
    """A read that falls outside its tensor, which has no outside value."""


class Point:
    """Everything that an expression can name.

    `sizes` are the concrete axis sizes (derived ones are added), `parameters` exact numbers, `elements` the inputs by
    name (in the point's arithmetic; integer tensors as ints). Definitions are computed on demand and kept;
    `given` holds further tensors, gradients for instance, as they are; `auxiliary` are further definitions,
    of integers.
    """

    def __init__(
        self,
        layer: Layer,
        arithmetic: Arithmetic,
        sizes: Mapping[str, int],
        parameters: Mapping[str, Exact],
        elements: Mapping[str, Elements] | None = None,
        given: Mapping[str, Elements] | None = None,
        auxiliary: tuple[Definition, ...] = (),
    ) -> None:
        self.layer, self.arithmetic = layer, arithmetic
        self.sizes, self.parameters = dict(sizes), dict(parameters)
        self.elements, self.given = dict(elements or {}), dict(given or {})
        self.auxiliary = {d.name: d for d in auxiliary}
        self._integers = {*layer.integers, *self.auxiliary}
        self._definitions = {d.name: d for d in layer.definitions}
        self._readers: dict[str, Reader] = {}
        self._shapes: dict[str, Key] = {}
        for derived in layer.sizes:
            self.sizes[derived.name] = self.extent(derived.value, f"size {derived.name}")
        for ranged in layer.ranges:
            self.extent(ranged.extent, f"range {ranged.index}")

    # ----------------------------------------------------------------------------------- plain names

    def size(self, name: str) -> int:
        """The size of an axis."""
        if name not in self.sizes:
            raise InternalError(f"layer {self.layer.name}: the size {name} has no value here")
        return self.sizes[name]

    def parameter(self, name: str) -> Exact:
        """The value of a hyperparameter, exact."""
        if name not in self.parameters:
            raise InternalError(f"layer {self.layer.name}: the parameter {name} has no value here")
        return self.parameters[name]

    def is_integer(self, tensor: str) -> bool:
        """Whether it is an integer tensor."""
        return tensor in self._integers

    def extent(self, expr: Expr, what: str = "an extent") -> int:
        """The value of an extent; it is at least 1."""
        value = whole(evaluate_exact(expr, self))
        if value < 1:
            sizes = ", ".join(f"{name} = {n}" for name, n in self.sizes.items())
            raise UserError(f"layer {self.layer.name}: {what} comes out as {value} for {sizes}")
        return value

    def shape(self, tensor: str) -> Key:
        """The sizes of the axes of an input or a definition."""
        if tensor not in self._shapes:
            self._shapes[tensor] = tuple(self.extent(axis, f"an axis of {tensor}") for axis in self._axes(tensor))
        return self._shapes[tensor]

    def _axes(self, tensor: str) -> tuple[Expr, ...]:
        if tensor in self.auxiliary:
            return tuple(i.extent for i in self.auxiliary[tensor].indices)
        return self.layer.axes(tensor)

    def box(self, tensor: str) -> Iterator[Key]:
        """All positions of a tensor, in row-major order."""
        return product(*(range(n) for n in self.shape(tensor)))

    # --------------------------------------------------------------------------------------- tensors

    def reader(self, tensor: str) -> Reader:
        """The function that reads an element of a tensor."""
        if tensor not in self._readers:
            self._readers[tensor] = self._new_reader(tensor)
        return self._readers[tensor]

    def read(self, tensor: str, key: Key) -> Value:
        """One element."""
        return self.reader(tensor)(key)

    def all_of(self, tensor: str) -> Elements:
        """All elements of an input or a definition."""
        read = self.reader(tensor)
        return {key: read(key) for key in self.box(tensor)}

    def _new_reader(self, tensor: str) -> Reader:
        if tensor in self.given:
            return self._stored(tensor, self.given[tensor])
        if tensor in self._definitions:
            return self._defined(self._definitions[tensor])
        if tensor in self.auxiliary:
            return self._defined(self.auxiliary[tensor])
        if tensor in self.elements:
            return self._stored(tensor, self.elements[tensor])
        raise UserError(f"layer {self.layer.name}: nothing here is called {tensor}")

    def _stored(self, tensor: str, elements: Elements) -> Reader:
        outside = self._outside(tensor)

        def read(key: Key) -> Value:
            value = elements.get(key)
            return value if value is not None else outside(key)

        return read

    def _outside(self, tensor: str) -> Reader:
        """What a read outside the box gives."""
        declared = self.layer.tensor(tensor)
        if declared is None or declared.outside is None:
            return lambda key: self._refuse(tensor, key)
        value = evaluate(declared.outside, self)
        return lambda key: value

    def _refuse(self, tensor: str, key: Key) -> Value:
        named = tensor.removeprefix("grad_").removesuffix("_total") if tensor in self.given else tensor
        axes = [getattr(axis, "name", "its extent") for axis in self._axes(named)]
        for at, (index, n) in enumerate(zip(key, self.shape(named), strict=True)):
            if not 0 <= index < n:
                raise OutsideBox(
                    f"layer {self.layer.name}: {tensor}[{', '.join(map(str, key))}] is read outside its box: axis {at} "
                    f"({axes[at]} = {n}) at {index}, and {tensor} declares no outside value"
                )
        raise InternalError(f"layer {self.layer.name}: {tensor} has no value at {key}")

    def _defined(self, definition: Definition) -> Reader:
        body = body_reader(self, definition, definition.name in self._integers)
        known: Elements = {}
        shape = self.shape(definition.name)

        def read(key: Key) -> Value:
            value = known.get(key)
            if value is None:
                if not _inside(key, shape):
                    self._refuse(definition.name, key)
                value = known[key] = self.adjusted(definition.name, key, body(key))
            return value

        return read

    def adjusted(self, tensor: str, key: Key, value: Value) -> Value:
        """The value of a definition's element as others read it; a seeded point adds its seed here."""
        return value

    # --------------------------------------------------------------------------- partial derivatives

    def local_slopes(self, value: Expr, variable: str) -> tuple[tuple[Expr, ...], Callable[[Key], Slopes]]:
        """The local derivatives of `value` with respect to all elements of the tensor `variable`.

        Gives the expressions that say which row is meant, and the rows. An element of a definition
        stands for its body there; what the body reads by another name is held fixed.
        """
        local = _LocalPoint(self, variable)
        if isinstance(value, Read) and value.tensor in self._definitions and value.tensor != variable:
            run, arguments = body_reader(local, self._definitions[value.tensor]), value.indices
        else:
            scope = free_indices(value)
            interpreter = Interpreter(local, scope)
            meaning, arguments = interpreter.real(value), scope
            run = lambda key: meaning(interpreter.places(key))  # noqa: E731
        rows: dict[Key, Slopes] = {}

        def slopes(key: Key) -> Slopes:
            if key not in rows:
                rows[key] = run(key)[1]
            return rows[key]

        return arguments, slopes


class SeededPoint(Point):
    """The same point in dual numbers: each element of the tensors `wrt` carries its own direction `(tensor, key)`.

    A definition that is seeded is perturbed there, and what follows from it is computed anew: a slope is the
    total derivative with respect to the element, all that comes before it held fixed.
    """

    def __init__(self, point: Point, wrt: tuple[str, ...], dual: type[DualNumbers] = DualNumbers) -> None:
        self._wrt, self._one = frozenset(wrt), point.arithmetic.number(1)
        lifted = {
            name: elements
            if point.is_integer(name)
            else {key: self.adjusted(name, key, (value, NONE)) for key, value in elements.items()}
            for name, elements in point.elements.items()
        }
        super().__init__(point.layer, dual(point.arithmetic), point.sizes, point.parameters, lifted)

    def adjusted(self, tensor: str, key: Key, value: Dual) -> Dual:
        return (value[0], {**value[1], (tensor, key): self._one}) if tensor in self._wrt else value


class _LocalPoint(Point):
    """A point in dual numbers in which the elements of one tensor vary and all else is held fixed."""

    def __init__(self, point: Point, variable: str) -> None:
        auxiliary = tuple(point.auxiliary.values())
        super().__init__(point.layer, DualNumbers(point.arithmetic), point.sizes, point.parameters, auxiliary=auxiliary)
        self._outer, self._variable, self._one = point, variable, point.arithmetic.number(1)

    def _new_reader(self, tensor: str) -> Reader:
        read = self._outer.reader(tensor)
        if self.is_integer(tensor):
            return read
        if tensor != self._variable:
            return lambda key: (read(key), NONE)
        shape, one = self._outer.shape(tensor), self._one
        return lambda key: (read(key), {key: one} if _inside(key, shape) else NONE)


def body_reader(point: Point, definition: Definition, integer: bool = False) -> Reader:
    """The definition's body as a function of its indices, read at the point."""
    interpreter = Interpreter(point, definition.indices)
    body = interpreter.exact(definition.body) if integer else interpreter.real(definition.body)
    return lambda key: body(interpreter.places(key))


def _inside(key: Key, shape: Key) -> bool:
    return all(0 <= index < n for index, n in zip(key, shape, strict=True))
