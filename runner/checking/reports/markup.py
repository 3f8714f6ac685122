"""Texts as other programs read them: XML, and the commands of GitHub's workflows."""

from __future__ import annotations

import re
from collections.abc import Mapping
from xml.etree.ElementTree import Element, indent, tostring

# The complement of the characters that XML 1.0 has (production 2).
_NO_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def xml_text(text: str) -> str:
    """Replace what XML has no character for."""
    return _NO_XML.sub("\ufffd", text)


def xml_document(root: Element) -> str:
    """Write a document, indented; the same in whatever encoding it is written."""
    indent(root)
    # ASCII with character references.
    data: bytes = tostring(root, encoding="us-ascii", xml_declaration=True)
    return data.decode("ascii") + "\n"


def workflow_command(kind: str, properties: Mapping[str, object], message: str) -> str:
    """Write a command as the runner of GitHub Actions reads it: `::error file=…::…`."""
    shown = ",".join(
        f"{key}={_data(str(value)).replace(':', '%3A').replace(',', '%2C')}"
        for key, value in properties.items()
    )
    return f"::{kind} {shown}::{_data(message)}"


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")
