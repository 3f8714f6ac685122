"""Faults as a command line gives them: specs, and files that hold a list of specs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from runner.config.document import parse_document
from runner.config.source import SourceFault, read_source
from runner.errors import ConfigError, UsageError
from runner.faults.fault import Fault
from runner.faults.grammar import parse_fault

_SUFFIXES = (".yaml", ".yml")


def load_faults(given: Iterable[str]) -> list[Fault]:
    """Read specs, and the specs of the YAML files among them, in their order.

    Raises:
        UsageError: a spec is none. ConfigError: a file is not YAML.
        FileUnreadable: a file is not there.
    """
    faults: list[Fault] = []
    for each in given:
        if each.endswith(_SUFFIXES):
            faults += _read_file(Path(each))
        else:
            faults.append(parse_fault(each))
    return faults


def _read_file(path: Path) -> Iterator[Fault]:
    try:
        source = read_source(path)
    except SourceFault as fault:
        raise UsageError(f"{path}: {fault.message}", hint=fault.help) from None
    document, findings = parse_document(source)
    if document is None or any(found.severity == "error" for found in findings):
        raise ConfigError(f"{path} cannot be read", findings)
    if not isinstance(document.value, list):
        raise UsageError(
            f"{path} is not a list of faults",
            hint="write one a line, as in `- drop on=tool.call`",
        )
    for place, spec in enumerate(document.value):
        line, _ = source.point(document.value_span((place,)).start)
        if not isinstance(spec, str):
            raise UsageError(
                f"{path}:{line}: a fault is written as text",
                hint="as in `- drop on=tool.call`; --fault help lists them",
            )
        try:
            yield parse_fault(spec)
        except UsageError as error:
            raise UsageError(
                f"{path}:{line}: {error.message}", hint=error.hint
            ) from None
