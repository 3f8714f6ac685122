"""Rules VA601 to VA609: security of files, secrets and tools."""

from __future__ import annotations

import ast
import re
import sys
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from runner.config.diagnostics import Finding, replacement
from runner.config.lint.context import rule
from runner.config.lint.python_files import find_python_tools, read_marks
from runner.config.lint.references import find_uses, read_prompt
from runner.config.lint.secrets import find_leaks
from runner.config.lint.tool_facts import tool_name
from runner.config.spelling import is_certain_guess, nearest
from runner.hosts import is_this_machine

if TYPE_CHECKING:
    from collections.abc import Iterator

    from runner.config.diagnostics import Severity
    from runner.config.lint.context import RuleContext

_WHERE_ENV = "${env:…} is allowed in http tools, service.url and local.llm"
_WHERE_SECRETS = "move it to the environment or .env, and write ${env:NAME} here"
# Confirmation, agreement, consent, in the languages that agents are written in most.
_CONFIRMATION = (
    r"confirm|agree|consent|approv|said yes|says yes|read(?:s|ing)? .{0,40}back"
    r"|best[äa]tig|zugestimmt|zustimm|einverstand|einverstanden|acuerdo|consient"
    r"|d.accord|accept|conferm|bevestig|akkoord|確認|确认"
)
_SERVICE_KEYS = {"ASSEMBLYAI_API_KEY", "VAGENT_SERVICE_KEY"}
_SERVICE_HOST = r"https://(?:[\w-]+\.)*assemblyai\.com(?:[/:?#]|$)"
_MODULE = r"(?!.*\.py(?::|$))[A-Za-z_][A-Za-z0-9_]*(?:\.[A-Za-z_]\w*)*(?::\w+)?"
_BUILT_IN = {"end_call", "current_time"}


@rule("VA601", "file-outside")
def file_outside(inspection: RuleContext) -> Iterator[Finding]:
    """A file of the agent is outside the agent's folder.

    An agent runs only code from its own folder or from installed packages, and shows
    the model only files from its own folder. Paths through `..`, absolute paths and
    symbolic links that lead outside are refused. So are prompt files that are hidden,
    in a hidden folder or `.env` files: they hold secrets, and the prompt is sent.

    Bad:
        tools:
          - python: ../elsewhere.py:lookup

    Good:
        tools:
          - python: tools/shop.py:lookup
    """
    prompt = inspection.fact(read_prompt)
    if prompt.problem == "outside":
        message = f"`{prompt.reference}` is outside the agent's folder"
        help_ = "move the prompt into the agent file's folder or a folder below it"
        yield Finding(inspection.value(("prompt_file",)), message, help_)
    elif prompt.problem == "hidden":
        message = f"`{prompt.reference}` is a hidden file or holds an environment"
        help_ = "move the prompt to a file such as prompts/agent.md"
        yield Finding(inspection.value(("prompt_file",)), message, help_)
    for tool in inspection.fact(find_python_tools):
        if tool.real is None:
            message = f"`{tool.file}` is outside the agent's folder"
            help_ = "move the tools into the agent file's folder or a folder below it"
            yield Finding(inspection.value(tool.path), message, help_)


@rule("VA604", "environment-spoken")
def environment_spoken(inspection: RuleContext) -> Iterator[Finding]:
    """A text that is spoken or sent to the model uses an environment variable.

    The environment holds secrets, and the model may repeat whatever it reads. Use a
    variable for a value that may be spoken: `vagent run --var name=value`.

    Bad:
        greeting: Welcome to ${env:COMPANY}.

    Good:
        greeting: Welcome to ${company}.
        variables:
          company: {default: Acme}
    """
    for use in inspection.fact(find_uses):
        if use.placeholder.kind == "environment" and use.allowed != "secret":
            name = use.placeholder.name
            message = f"`${{env:{name}}}` would be spoken or sent to the model"
            yield Finding(use.place, message, _WHERE_ENV)


@rule("VA602", "secret-in-clear")
def secret_in_clear(inspection: RuleContext) -> Iterator[Finding]:
    """The file contains a key in plain text.

    Everyone who can read the file can use the key, also from the repository's history,
    from logs and from the prompt that goes to the model. The value has the published
    format of a key. Revoke it, put the new one into the environment or into `.env`, and
    write `${env:NAME}` in its place. Findings show it redacted.

    Bad:
        local:
          llm:
            url: https://api.openai.com/v1
            key: sk-proj-Jq3vT8mZc1LwX7rN5kYdB2sHfG9aQeU4

    Good:
        local:
          llm:
            url: https://api.openai.com/v1
            key: ${env:OPENAI_API_KEY}
    """
    for leak in inspection.fact(find_leaks):
        if leak.is_certain:
            message = f"{leak.what} is in the file in plain text"
            yield Finding(leak.place, message, _WHERE_SECRETS)


@rule("VA603", "secret-suspected", "warning")
def secret_suspected(inspection: RuleContext) -> Iterator[Finding]:
    """A value looks like a secret in plain text.

    Its key suggests so (`token`, `password`, `authorization`), or it looks random.
    Suppress a false alarm with a comment: `# vagent: ignore[VA603] a public id`.

    Bad:
        tools:
          - name: lookup_order
            description: Look up the caller's last order.
            http:
              url: https://api.example.com/orders/last
              headers: {X-Api-Key: 7d1f-shop-2291}
            timeout: 2s

    Good:
        tools:
          - name: lookup_order
            description: Look up the caller's last order.
            http:
              url: https://api.example.com/orders/last
              headers: {X-Api-Key: "${env:ORDERS_KEY}"}
            timeout: 2s
    """
    for leak in inspection.fact(find_leaks):
        if not leak.is_certain and inspection.is_valid(leak.path):
            message = f"{leak.what} looks like a secret in plain text"
            yield Finding(leak.place, message, _WHERE_SECRETS)


@rule("VA605", "change-without-confirmation", "warning")
def change_without_confirmation(inspection: RuleContext) -> Iterator[Finding]:
    """A tool changes data or ends the call without asking for confirmation.

    Speech is often misheard, and models act quickly. The model decides by the
    description: require there that the caller confirms first.

    Bad:
        tools:
          - name: cancel_order
            description: Cancel the caller's last order.
            effect: write
            http: {method: POST, url: "https://api.example.com/orders/last/cancel"}
            timeout: 2s

    Good:
        tools:
          - name: cancel_order
            description: >-
              Cancel the caller's last order. Use it only after the caller has
              confirmed it.
            effect: write
            http: {method: POST, url: "https://api.example.com/orders/last/cancel"}
            timeout: 2s
    """
    files = {each.tool: each for each in inspection.fact(find_python_tools)}
    for tool in inspection.tools():
        source = files.get(tool)
        definition = source.definition if source else None
        marks = read_marks(definition) if definition is not None else {}
        effect = inspection.get((*tool, "effect"), str) or marks.get("effect")
        if effect not in ("write", "terminal"):
            continue
        text = inspection.get((*tool, "description"), str)
        if text is None and definition is not None:
            text = str(marks.get("description") or ast.get_docstring(definition) or "")
        if text is None or re.search(_CONFIRMATION, text, re.IGNORECASE):
            continue  # a plugin describes itself
        named = tool_name(inspection, tool)
        name = f"`{named[0]}`" if named else "this tool"
        key = (*tool, "description")
        has_text = inspection.get(key, str) is not None
        place = inspection.value(key) if has_text else inspection.start(tool)
        does = "changes data" if effect == "write" else "ends the call"
        message = f"{name} {does}, but its description does not ask for confirmation"
        help_ = 'add to the description: "only after the caller has confirmed it"'
        yield Finding(place, message, help_)


@rule("VA606", "service-key-given-away", "warning")
def service_key_given_away(inspection: RuleContext) -> Iterator[Finding]:
    """The key of the voice-agent service is sent to another host.

    With the key, that host could make calls at your expense. Use a separate key for
    each service.

    Bad:
        tools:
          - name: lookup_order
            description: Look up the caller's last order.
            http:
              url: https://api.example.com/orders/last
              headers: {Authorization: "Bearer ${env:ASSEMBLYAI_API_KEY}"}
            timeout: 2s

    Good:
        tools:
          - name: lookup_order
            description: Look up the caller's last order.
            http:
              url: https://api.example.com/orders/last
              headers: {Authorization: "Bearer ${env:ORDERS_TOKEN}"}
            timeout: 2s
    """
    for use in inspection.fact(find_uses):
        name = use.placeholder.name
        if use.placeholder.kind != "environment" or name not in _SERVICE_KEYS:
            continue
        url = ""
        if use.path[0] == "tools":
            url = inspection.get((*use.path[:2], "http", "url"), str) or ""
        elif use.path[:2] != ("local", "llm"):
            continue
        if not re.match(_SERVICE_HOST, url):
            message = f"`{name}` is the key of the voice-agent service"
            help_ = "do not send it to another host; use a separate key for that host"
            yield Finding(use.place, message, help_)


@rule("VA607", "tool-not-a-file")
def tool_not_a_file(inspection: RuleContext) -> Iterator[Finding]:
    """A Python tool names a module instead of a file.

    Only files in the agent's folder or below are run, never importable modules:
    `os:system` would give callers a shell.

    Bad:
        tools:
          - name: run
            python: os:system

    Good:
        tools:
          - python: tools/shop.py:lookup
    """
    tools = inspection.document.value.get("tools")
    for index, tool in enumerate(tools if isinstance(tools, list) else ()):
        reference = tool.get("python") if isinstance(tool, dict) else None
        if not isinstance(reference, str) or not re.fullmatch(_MODULE, reference):
            continue
        module = re.split(r"[.:]", reference)[0]
        own = (
            "a module of the standard library"
            if module in sys.stdlib_module_names
            else ""
        )
        message = (
            f"`{reference}` is {own or 'a module'}, not a file in the agent's folder"
        )
        help_ = "create `tools/NAME.py` and write `tools/NAME.py:FUNCTION`"
        yield Finding(inspection.value(("tools", index, "python")), message, help_)


@rule("VA608", "plugin-not-installed", "warning")
def plugin_not_installed(inspection: RuleContext) -> Iterator[Finding]:
    """A tool is a plugin that is not installed here.

    This is a warning in `vagent validate`, because continuous integration may not have
    the plugin, and an error when a call starts. `end_call` and `current_time` are built
    in.

    Bad:
        tools:
          - plugin: end_cal

    Good:
        tools:
          - plugin: end_call
    """
    for tool in inspection.tools():
        for path in ((*tool, "plugin"), (*tool, "plugin", "name")):
            name = inspection.get(path, str)
            if name is None or name in _BUILT_IN:
                continue
            installed = inspection.fact(_installed_plugins)
            if name in installed:
                continue
            guess = nearest(name, installed)
            place = inspection.value(path)
            help_, fix = f"installed: {', '.join(sorted(installed))}", None
            if guess:
                help_ = f"did you mean `{guess}`?"
                fix = replacement(
                    place, name, guess, is_safe=is_certain_guess(name, guess)
                )
            severity: Severity | None = "error" if inspection.must_run else None
            message = f"no plugin named `{name}` is installed"
            yield Finding(place, message, help_, fix, severity)


def _installed_plugins(inspection: RuleContext) -> set[str]:
    del inspection  # the same for every file
    from importlib.metadata import entry_points

    return {each.name for each in entry_points(group="vagent.tools")} | _BUILT_IN


@rule("VA609", "service-not-encrypted", "warning")
def service_not_encrypted(inspection: RuleContext) -> Iterator[Finding]:
    """The address of the service is `ws://` and not on this machine.

    What caller and agent say, and the key, would cross the network in clear text.
    vagent refuses such an address if a key is set.

    Bad:
        service: {url: "ws://voice.example.com/v1/ws"}

    Good:
        service: {url: "wss://voice.example.com/v1/ws"}
    """
    path = ("service", "url")
    url = inspection.get(path, str)
    if url is None or not url.lower().startswith("ws://"):
        return
    try:
        host = urlsplit(url).hostname or ""
    except ValueError:
        return  # the schema reports it
    if "$" in host or is_this_machine(host):
        return
    message = f"what is said crosses the network to `{host}` in clear text"
    place = inspection.part(path, 0, len("ws://"))
    fix = replacement(place, "ws://", "wss://", is_safe=False)
    yield Finding(inspection.value(path), message, "write `wss://`", fix)
