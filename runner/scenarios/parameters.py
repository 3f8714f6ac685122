"""What `${name}` in a scenario becomes, for each combination of its parameters.

Pure work on values; what is wrong with a placeholder is for the rules.
"""

from __future__ import annotations

import json
from itertools import islice, product
from typing import TYPE_CHECKING, Any

from runner.config.interpolation import find_placeholders

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from runner.config.interpolation import Placeholder
    from runner.config.yaml.nodes import Pointer

# Of one scenario. A matrix that is larger by mistake would only seem to hang.
MOST_COMBINATIONS = 1000


def is_matrix(parameters: Any) -> bool:
    """Whether these are parameters: names, each with a list of values."""
    return (
        isinstance(parameters, dict)
        and all(isinstance(each, list) and each for each in parameters.values())
        and bool(parameters)
    )


def combinations(parameters: Any) -> Iterator[dict[str, Any]]:
    """Yield a value for each parameter, the last one changing first, up to a limit.

    A scenario without parameters is one combination, of nothing.
    """
    if not is_matrix(parameters):
        yield {}
        return
    for values in islice(product(*parameters.values()), MOST_COMBINATIONS):
        yield dict(zip(parameters, values, strict=True))


def count_combinations(parameters: Any) -> int:
    """Return how many combinations there are."""
    count = 1
    for each in parameters.values() if is_matrix(parameters) else ():
        count *= len(each)
    return count


def fill(value: Any, values: Mapping[str, Any], path: Pointer = ()) -> Any:
    """Return a value with the parameters filled into every text below it.

    A text that is one placeholder and nothing else becomes the parameter's value. What
    stands for no parameter is left as it is. `path` is where the value stands in a
    scenario, or in what all scenarios share.
    """
    if isinstance(value, str):
        return fill_text(value, values, speaks=speaks(path)) if "${" in value else value
    if isinstance(value, dict):
        return {key: fill(each, values, (*path, key)) for key, each in value.items()}
    if isinstance(value, list):
        return [fill(each, values, (*path, i)) for i, each in enumerate(value)]
    return value


def fill_text(text: str, values: Mapping[str, Any], *, speaks: bool) -> Any:
    """Return a text with its placeholders replaced, once: values are not filled.

    What the mind `speaks` keeps the placeholders that are not parameters, and `$${`:
    they are about a result that has not come yet.
    """
    found = list(find_placeholders(text))
    if len(found) == 1 and (found[0].start, found[0].end) == (0, len(text)):
        only = found[0]
        if only.kind == "variable" and only.name in values:
            return values[only.name]
    parts, done = [], 0
    for each in found:
        parts += [text[done : each.start], _written(each, text, values, speaks)]
        done = each.end
    return "".join(parts) + text[done:]


def speaks(path: Pointer) -> bool:
    """Whether a text at this path of a scenario is one that the mind says."""
    match path:
        case ("llm", int(), "says"):
            return True
    return False


def _written(
    found: Placeholder, text: str, values: Mapping[str, Any], is_spoken: bool
) -> str:
    if found.kind == "variable" and found.name in values:
        value = values[found.name]
        return value if isinstance(value, str) else json.dumps(value)
    if found.kind == "escape" and not is_spoken:
        return "${"
    return text[found.start : found.end]
