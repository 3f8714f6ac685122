from __future__ import annotations

import json

from runner.config.lint.catalog import DEFAULT, LANGUAGES, RETIRED, VOICES, speakers
from runner.config.schema import packaged_schema


def test_eighteen_voices_none_of_them_retired() -> None:
    assert len(VOICES) == 18
    assert RETIRED.isdisjoint(VOICES)
    assert DEFAULT in VOICES


def test_every_language_of_the_schema_has_a_name() -> None:
    schema = json.loads(json.dumps(packaged_schema()))
    assert set(schema["properties"]["languages"]["items"]["enum"]) == set(LANGUAGES)


def test_who_speaks_a_language() -> None:
    assert speakers("de") == ["juergen"]
    assert "alba" in speakers("en") and "juergen" not in speakers("en")
    assert speakers("ja") == []
