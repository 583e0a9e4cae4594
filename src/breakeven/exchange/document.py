"""A foreign document, JSON or YAML, read with suspicion: a missing field is None, a wrong one says where it is."""

import json
import math
import re
from collections.abc import Iterator
from typing import Any, Final

from breakeven.errors import UsageError, one_line

_MOST = 1e15


_SPACE: Final = re.compile(r"[ \t\n\r]*")
_YAML: Final = re.compile(r"^version:", re.MULTILINE)
"""What a result file in YAML has at its top level."""


def parse(data: bytes, *, where: str) -> list[Any]:
    """The documents of a file, one or more one after the other (JSONL), or one of YAML that tells its version.

    UsageError for no JSON, too deep or no text.
    """
    try:
        text = data.decode(json.detect_encoding(data)).strip()
        if _YAML.search(text) and not text.startswith(("{", "[")):
            return [_yaml(text, where=where)]
        documents: list[Any] = []
        place = 0
        while place < len(text) or not documents:
            document, end = json.JSONDecoder().raw_decode(text, place)
            documents.append(document)
            place = end + len(_SPACE.match(text, end)[0])  # type: ignore[index]
        return documents
    except RecursionError:
        raise UsageError(f"{where}: nested too deeply") from None
    except ValueError as error:
        raise UsageError(f"{where}: not JSON: {one_line(str(error), limit=120)}") from None


def _yaml(text: str, *, where: str) -> Any:
    """Times stay text, as in JSON."""
    try:
        import yaml
    except ImportError:
        raise UsageError(f"{where}: to read YAML, pip install 'breakeven[yaml]'") from None

    class Loader(yaml.SafeLoader):  # type: ignore[misc]
        yaml_implicit_resolvers: Final = {
            first: [one for one in known if one[0] != "tag:yaml.org,2002:timestamp"]
            for first, known in yaml.SafeLoader.yaml_implicit_resolvers.items()
        }

    try:
        return yaml.load(text, Loader=Loader)
    except yaml.YAMLError as error:
        raise UsageError(f"{where}: not YAML: {one_line(str(error), limit=120)}") from None


class Node:
    """An object of the document with its place in it, so that every complaint can say where."""

    def __init__(self, value: object, *, place: str) -> None:
        if not isinstance(value, dict):
            raise UsageError(f"{place}: an object was expected, not {_kind(value)}")
        self.fields: dict[str, Any] = value
        self.place = place

    def has(self, *names: str) -> bool:
        """Whether all fields are there, null or not."""
        return all(name in self.fields for name in names)

    def number(self, name: str, *, least: float | None = 0.0) -> float | None:
        """A finite number, None where it is missing, null or infinite; UsageError for a type or sign that is off."""
        return _number(self.fields.get(name), place=f"{self.place}.{name}", least=least)

    def whole(self, name: str, *, least: int = 0) -> int | None:
        """A number without fraction, such as a count."""
        value = self.number(name, least=least)
        if value is None:
            return None
        if value != int(value):
            raise UsageError(f"{self.place}.{name}: a whole number was expected, not {value:g}")
        return int(value)

    def text(self, name: str) -> str | None:
        """A string made safe to print; None where it is missing or null."""
        value = self.fields.get(name)
        if value is None:
            return None
        if not isinstance(value, str):
            raise UsageError(f"{self.place}.{name}: a string was expected, not {_kind(value)}")
        return one_line(value, limit=200)

    def node(self, name: str) -> "Node":
        """An object; an empty one where it is missing or null."""
        value = self.fields.get(name)
        return Node({} if value is None else value, place=f"{self.place}.{name}")

    def nodes(self, name: str) -> Iterator["Node"]:
        """The objects of a list; none where it is missing or null."""
        for index, value in enumerate(self.items(name)):
            yield Node(value, place=f"{self.place}.{name}[{index}]")

    def items(self, name: str) -> list[Any]:
        """A list; an empty one where it is missing or null."""
        value = self.fields.get(name)
        if value is None:
            return []
        if not isinstance(value, list):
            raise UsageError(f"{self.place}.{name}: a list was expected, not {_kind(value)}")
        return value

    def numbers(self, name: str) -> list[float | None]:
        """A list of numbers, None in place of null and of what is not finite."""
        place = f"{self.place}.{name}"
        return [_number(value, place=f"{place}[{index}]", least=0.0) for index, value in enumerate(self.items(name))]


def _number(value: object, *, place: str, least: float | None) -> float | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise UsageError(f"{place}: a number was expected, not {_kind(value)}")
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if abs(value) > _MOST:
        raise UsageError(f"{place}: the number is too large to be a measurement")
    number = float(value)
    if least is not None and number < least:
        raise UsageError(f"{place}: {number:g} cannot be; at least {least:g} was expected")
    return number


def _kind(value: object) -> str:
    names = {type(None): "null", bool: "a truth value", str: "a string", list: "a list", dict: "an object"}
    return names.get(type(value), "a number")


def scaled(value: float | None, factor: float) -> float | None:
    """The value in another unit; None stays None."""
    return None if value is None else value * factor


def divided(value: float | None, by: float | None) -> float | None:
    """The ratio; None where a part is None, the divisor 0 or the ratio not finite."""
    if value is None or not by:
        return None
    ratio = value / by
    return ratio if math.isfinite(ratio) else None
