"""The weights of local speech: whether they are here, and what they should be."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from runner.doctor.findings import Finding, failed, passed, skipped
from runner.doctor.surroundings import local_of, service_of
from runner.doctor.wishes import Wishes
from runner.speech.needs import needed_models
from runner.speech.weights import Weights, open_weights


def check_models(wishes: Wishes) -> Iterator[Finding]:
    """Hash all weights that are here, and name those that a local call would miss."""
    weights = open_weights()
    service = service_of(wishes)
    is_needed = service is None or service.url is None
    local = local_of(wishes)
    needed = needed_models(weights, local) if is_needed else []
    yield from judge_models(weights, needed)
    if is_needed:
        yield from _own_files(weights, local.tts, local.stt, local.llm.name)


def judge_models(weights: Weights, needed: list[str]) -> Iterator[Finding]:
    """Judge each model of the manifest by its hashes; only `needed` ones may fail."""
    for model in weights.manifest.models.values():
        name = f"model-{model.name}"
        standing = weights.standing(model.name, anew=True)
        problem = standing.problem or ""
        fix = f"vagent models fetch {model.name}"
        if standing.present:
            yield passed(
                name, f"{model.purpose}, {model.size / 1e6:,.0f} MB, by its hash"
            )
        elif model.name in needed or "damaged" in problem:
            yield failed(name, f"{model.purpose}: {problem}", fix)
        else:
            detail = f"{model.purpose}: {problem}, and not needed"
            yield skipped(name, detail, fix)


def _own_files(weights: Weights, *names: str | None) -> Iterator[Finding]:
    """Judge what the agent file names by its path."""
    for name in names:
        if not name or name in ("auto", "rules") or name in weights.manifest:
            continue
        path = Path(name).expanduser()
        if path.exists():
            yield passed(f"model-{path.name}", f"{path}")
        else:
            yield failed(
                f"model-{path.name}",
                f"'{name}' is neither the name of a model nor a path to one",
                "vagent models list",
            )
