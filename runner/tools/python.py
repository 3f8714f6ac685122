"""The tool kind `python`: a function in a file at or below the agent's folder.

    python: tools/weather.py:get_weather

The file is loaded under a private module name, once for each loading of the agent, and
`sys.path` is left alone. A file beside it is imported relatively (`from .prices import
total`); a plain `import prices` finds only what is installed, so that no file of an
agent can stand in for a module that others import.
"""

from __future__ import annotations

import difflib
import hashlib
import importlib
import importlib.util
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

from runner.config.model import AgentConfig, ToolConfig
from runner.config.packaged import builtin_kinds
from runner.errors import ToolError
from runner.tools.function import load_function
from runner.tools.output import split_stdout, tool_output
from runner.tools.tool import Tool

_PACKAGE = "_vagent_agent_"


class PythonKind:
    """Loads functions from files; one instance serves any number of agents."""

    key = "python"

    @property
    def schema(self) -> Mapping[str, Any]:
        """The schema of the key's value, as the packaged agent schema has it."""
        return builtin_kinds()["python"]

    def __init__(self) -> None:
        self._agent: AgentConfig | None = None  # whose modules are loaded
        self._modules: dict[Path, ModuleType] = {}
        self._packages: set[Path] = set()  # folders of these modules

    def load(self, config: ToolConfig, agent: AgentConfig) -> Tool:
        """Load the file and make a tool of the function."""
        path, name = find_file(str(config.settings), agent.folder)
        if self._agent is not agent:
            self._agent = agent
            self._modules.clear()
            self._packages.clear()
        if path.parent not in self._packages:
            _renew_package(path)
            self._packages.add(path.parent)
        if path not in self._modules:
            self._modules[path] = _load_module(path)
        return load_function(_find_function(self._modules[path], name), config, name)


def find_file(reference: str, folder: Path) -> tuple[Path, str]:
    """Split `path/to/file.py:function`; return the real path and the function's name.

    Raises `ToolError` for a file that is missing or whose real place, links followed,
    is outside `folder`.
    """
    text, colon, name = reference.rpartition(":")
    if not colon or not text or not name.isidentifier():
        raise ToolError(
            f"{reference!r} does not name a function",
            hint="write it as path/to/file.py:function",
        )
    try:
        root = folder.resolve()
        path = (root / text).resolve()
    except (OSError, ValueError, RuntimeError) as error:
        raise ToolError(f"{text!r} is no path") from error
    if not path.is_relative_to(root):
        raise ToolError(
            f"{text!r} is outside the agent's folder",
            hint="tools are taken only from files at or below the agent file",
        )
    # Unlike pathlib's, it answers for names that no file can have, too.
    if not os.path.isfile(path):
        raise ToolError(f"there is no file {text!r} beside the agent file")
    return path, name


def _package_name(path: Path) -> str:
    digest = hashlib.sha256(str(path.parent).encode()).hexdigest()
    return _PACKAGE + digest[:16]


def _load_module(path: Path) -> ModuleType:
    name = f"{_package_name(path)}.{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None:
        raise ToolError(f"{path.name!r} is no Python file")
    module = importlib.util.module_from_spec(spec)
    with ExitStack() as stack:
        split = split_stdout()
        if split is not None:
            stack.callback(split.restore)
        stack.enter_context(tool_output())
        stack.enter_context(_no_bytecode())
        try:
            sys.modules[name] = module
            # Compiled here and not by the loader, whose cached bytecode is told apart
            # by whole seconds: an edit within the same one would not be seen.
            exec(compile(path.read_bytes(), str(path), "exec"), vars(module))
        except (Exception, SystemExit) as error:  # the file's own code runs here
            sys.modules.pop(name, None)
            raise _describe(error, path) from error
    return module


@contextmanager
def _no_bytecode() -> Iterator[None]:
    """Write no bytecode of what is imported: see `_load_module`; and no litter."""
    before, sys.dont_write_bytecode = sys.dont_write_bytecode, True
    try:
        yield
    finally:
        sys.dont_write_bytecode = before


def _renew_package(path: Path) -> None:
    """Give the file's folder a private package, for its relative imports.

    Modules of an earlier loading are dropped from it, so that edited files are read
    again; functions that still run keep theirs.
    """
    package = _package_name(path)
    for name in list(sys.modules):
        if name == package or name.startswith(f"{package}."):
            del sys.modules[name]
    module = ModuleType(package)
    module.__path__ = [str(path.parent)]
    sys.modules[package] = module
    importlib.invalidate_caches()


def _describe(error: BaseException, path: Path) -> ToolError:
    """Say in one line what happened while the file was loaded, and on which line."""
    if isinstance(error, SyntaxError) and error.filename:
        file = Path(error.filename).name
        return ToolError(f"{file}:{error.lineno}: {error.msg}")
    if isinstance(error, OSError | UnicodeDecodeError) and _line_in(error, path) == 0:
        return ToolError(f"{path.name!r} cannot be read: {error}")
    place = f"{path.name}:{_line_in(error, path)}"
    if isinstance(error, SystemExit):
        return ToolError(f"{place}: the file ends the program when it is loaded")
    if isinstance(error, ModuleNotFoundError) and error.name:
        sibling = error.name.partition(".")[0]
        if (path.parent / f"{sibling}.py").is_file():
            return ToolError(
                f"{place}: no module named {sibling!r}",
                hint=f"a file beside the tool is imported as `from . import {sibling}`",
            )
        return ToolError(
            f"{place}: no module named {error.name!r}",
            hint=f"install it where vagent runs: {sys.executable} -m pip install …",
        )
    return ToolError(f"{place}: {type(error).__name__}: {error}")


def _line_in(error: BaseException, path: Path) -> int:
    line, traceback = 0, error.__traceback__
    while traceback is not None:
        if traceback.tb_frame.f_code.co_filename == str(path):
            line = traceback.tb_lineno
        traceback = traceback.tb_next
    return line


def _find_function(module: ModuleType, name: str) -> Callable[..., object]:
    function = getattr(module, name, None)
    if callable(function) and not isinstance(function, type):
        return function  # type: ignore[no-any-return]  # callable() says no more
    file = f"{module.__name__.rpartition('.')[2]}.py"
    if function is not None:
        kind = "a class" if isinstance(function, type) else "not a function"
        raise ToolError(f"{name!r} in {file} is {kind}", hint="point at a function")
    functions = [
        key
        for key, value in vars(module).items()
        if callable(value) and getattr(value, "__module__", "") == module.__name__
    ]
    near = difflib.get_close_matches(name, functions, n=1)
    if near:
        hint = f"did you mean {near[0]!r}?"
    else:
        hint = f"it has: {', '.join(functions) or 'no functions'}"
    raise ToolError(f"there is no function {name!r} in {file}", hint=hint)
