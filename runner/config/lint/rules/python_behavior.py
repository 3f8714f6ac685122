"""Rules VA422 to VA427: description, result and behavior of Python tools."""

from __future__ import annotations

import ast
from functools import lru_cache
from typing import TYPE_CHECKING

from runner.config.diagnostics import Finding
from runner.config.lint.context import rule
from runner.config.lint.python_files import (
    find_functions,
    find_python_tools,
    find_sure_functions,
    read_marks,
)
from runner.config.lint.python_types import not_json
from runner.config.spelling import nearest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from runner.config.lint.context import RuleContext

# Calls that block the event loop, and with it the audio of the call.
_BLOCKING = {
    "time.sleep": "await asyncio.sleep(…)",
    "urllib.request.urlopen": "an asynchronous client, such as httpx.AsyncClient",
    "subprocess.run": "await asyncio.create_subprocess_exec(…)",
    "subprocess.check_output": "await asyncio.create_subprocess_exec(…)",
    **dict.fromkeys(
        (f"requests.{verb}" for verb in ("get", "post", "put", "patch", "delete")),
        "an asynchronous client, such as httpx.AsyncClient",
    ),
    **dict.fromkeys(
        (f"httpx.{verb}" for verb in ("get", "post", "put", "patch", "delete")),
        "httpx.AsyncClient",
    ),
}
# Calls at the top level of a file that do more than prepare its functions.
_EFFECTS = {
    "print": "prints",
    "input": "waits for keyboard input",
    "exit": "ends the program",
    "quit": "ends the program",
    "sys.exit": "ends the program",
    "os._exit": "ends the program",
    "os.system": "runs another program",
    "os.chdir": "changes the current folder",
    "os.remove": "removes a file",
    "urllib.request.urlopen": "uses the network",
    "socket.create_connection": "uses the network",
    "time.sleep": "waits",
    "asyncio.run": "runs an event loop of its own",
    **dict.fromkeys(
        (f"subprocess.{each}" for each in ("run", "Popen", "call", "check_output")),
        "runs another program",
    ),
    **dict.fromkeys(
        (
            f"{library}.{verb}"
            for library in ("requests", "httpx")
            for verb in ("get", "post", "put", "patch", "delete", "request")
        ),
        "uses the network",
    ),
}


@rule("VA422", "result-not-json", "warning")
def result_not_json(inspection: RuleContext) -> Iterator[Finding]:
    """A Python tool returns a type that JSON cannot represent.

    The model receives the result as JSON: text, numbers, lists, mappings, data classes,
    dates. Any other result is reported as a failure of the tool.

    Bad:
        tools:
          - python: tools/broken_tools.py:handle

    Good:
        tools:
          - python: tools/shop.py:lookup
    """
    for each in inspection.fact(find_functions):
        node = each.signature.function.returns
        if node is None or _is_generator(each.signature.function):
            continue
        bad = not_json(each.file, node, as_result=True)
        if bad:
            message = f"JSON cannot represent the result type `{bad}`"
            help_ = "return text, a number, a list or a mapping"
            yield Finding(each.file.place(node), message, help_)


@rule("VA423", "tool-undescribed", "warning")
def tool_undescribed(inspection: RuleContext) -> Iterator[Finding]:
    """A Python tool has neither a docstring nor a description.

    The model chooses a tool by its description. Without one it has only the name, and
    calls the tool at the wrong time or never.

    Bad:
        tools:
          - python: tools/broken_tools.py:undescribed

    Good:
        tools:
          - python: tools/broken_tools.py:undescribed
            description: List the caller's last orders.
    """
    for each in inspection.fact(find_functions):
        function = each.signature.function
        own = ast.get_docstring(function) or read_marks(function).get("description")
        has_mark = bool(function.decorator_list)  # it may describe the function
        described = "description" in (inspection.get(each.tool.tool, dict) or {})
        if not (own or described or has_mark):
            message = f"`{each.name}` has no description"
            help_ = "add a docstring to the function, or a `description` to the tool"
            yield Finding(inspection.value(each.tool.path), message, help_)


@rule("VA424", "docstring-outdated", "warning")
def docstring_outdated(inspection: RuleContext) -> Iterator[Finding]:
    """A docstring describes a parameter that the function does not have.

    The model reads the docstring's text for each parameter; under a wrong name the text
    is lost.

    Bad:
        tools:
          - python: tools/broken_tools.py:misdescribed

    Good:
        tools:
          - python: tools/shop.py:list_orders
    """
    from runner.config.docstring import parse_docstring

    for each in inspection.fact(find_functions):
        function = each.signature.function
        text = ast.get_docstring(function)
        if not text or each.signature.rest is not None:
            continue
        names = [parameter.name for parameter in each.signature.parameters]
        names += [node.arg for node in each.signature.positional]
        for name in parse_docstring(text).parameters:
            if name not in names:
                guess = nearest(name, names)
                help_ = f"did you mean `{guess}`?" if guess else "remove it"
                message = f"the docstring describes `{name}`, which is not a parameter"
                yield Finding(each.file.place(function.body[0]), message, help_)


@rule("VA425", "tool-is-generator")
def tool_is_generator(inspection: RuleContext) -> Iterator[Finding]:
    """A Python tool is a generator.

    A tool call has one result, so a function that yields is not loaded.

    Bad:
        tools:
          - python: tools/broken_tools.py:sizes

    Good:
        tools:
          - python: tools/shop.py:list_orders
    """
    for each in inspection.fact(find_sure_functions):
        if _is_generator(each.signature.function):
            message = f"`{each.name}` is a generator; a tool call has one result"
            place = each.file.place(each.signature.function)
            yield Finding(place, message, "return a list of the values")


@rule("VA426", "call-blocks", "warning")
def call_blocks(inspection: RuleContext) -> Iterator[Finding]:
    """An `async` tool calls something that blocks.

    It runs on the event loop that carries the audio: while it blocks, the agent
    stutters and cannot be interrupted. A plain `def` runs in a thread.

    Bad:
        tools:
          - python: tools/slow_tools.py:wait

    Good:
        tools:
          - python: tools/slow_tools.py:wait_in_a_thread
    """
    for each in inspection.fact(find_functions):
        function = each.signature.function
        if not isinstance(function, ast.AsyncFunctionDef):
            continue
        for node in _own_nodes(function):
            name = each.scope.resolve(node.func) if isinstance(node, ast.Call) else None
            if name in _BLOCKING:
                message = (
                    f"`{name}` blocks the event loop and stops the audio of the call"
                )
                help_ = f"use {_BLOCKING[name]}, or make the tool a plain `def`"
                yield Finding(each.file.place(node), message, help_)


@rule("VA427", "effect-at-import", "warning")
def effect_at_import(inspection: RuleContext) -> Iterator[Finding]:
    """A tool file has side effects when it is loaded.

    It is loaded when a call begins, and again after each change with `--watch`. Put
    code that should run only as a program below `if __name__ == "__main__":`.

    Bad:
        tools:
          - python: tools/loud_tools.py:lookup

    Good:
        tools:
          - python: tools/shop.py:lookup
    """
    seen: set[str] = set()
    for tool in inspection.fact(find_python_tools):
        file = tool.content
        if file is None or file.problem or file.source.path in seen:
            continue
        seen.add(file.source.path)
        scope = file.scope
        for node in _top_level_calls(file.tree):
            name = scope.resolve(node.func)
            if name in _EFFECTS:
                message = f"loading this file {_EFFECTS[name]}"
                help_ = 'move it into a function, or below `if __name__ == "__main__":`'
                yield Finding(file.place(node), message, help_)


def _is_generator(function: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    return any(
        isinstance(node, ast.Yield | ast.YieldFrom) for node in _own_nodes(function)
    )


@lru_cache(maxsize=256)  # several rules and agents inspect the same function
def _own_nodes(
    function: ast.FunctionDef | ast.AsyncFunctionDef,
) -> tuple[ast.AST, ...]:
    """Returns the nodes of a function's body, but not those of functions inside it."""
    found: list[ast.AST] = []
    waiting: list[ast.AST] = [*function.body]
    while waiting:
        node = waiting.pop()
        found.append(node)
        if not isinstance(
            node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.Lambda
        ):
            waiting += ast.iter_child_nodes(node)
    return tuple(found)


@lru_cache(maxsize=64)  # as many as trees are kept
def _top_level_calls(tree: ast.Module) -> tuple[ast.Call, ...]:
    """Returns the calls that are made while a file is loaded."""
    found: list[ast.Call] = []
    waiting: list[ast.AST] = [
        node
        for node in tree.body
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
        and not (isinstance(node, ast.If) and _is_main_guard(node.test))
    ]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.Call):
            found.append(node)
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            waiting += ast.iter_child_nodes(node)
    return tuple(found)


def _is_main_guard(test: ast.expr) -> bool:
    return any(
        isinstance(node, ast.Name) and node.id in ("__name__", "TYPE_CHECKING")
        for node in ast.walk(test)
    )
