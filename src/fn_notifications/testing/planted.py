"""Proof that a contract can fail: it is run over adapters that are broken on purpose."""

import inspect
from collections.abc import Callable, Iterator

import pytest


def broken_rules(contract: type, subject: object) -> set[str]:
    """The names of a contract's rules that this subject breaks.

    For contracts whose rules are plain functions of the subject, Hypothesis' own arguments apart.
    """
    return {name for name, rule in _rules(contract) if not _holds(rule, subject)}


def _rules(contract: type) -> Iterator[tuple[str, Callable[..., object]]]:
    suite = contract()
    for name, rule in inspect.getmembers(suite, callable):
        if name.startswith("test_"):
            yield name, rule


def _holds(rule: Callable[..., object], subject: object) -> bool:
    try:
        rule(subject=subject)
    except (Exception, pytest.fail.Exception):  # noqa: BLE001 - whatever stops a rule, it does not hold
        return False
    return True
