"""A port without a contract, or a contract over fewer than two adapters, is a promise nobody checks."""

import importlib
import importlib.util
import inspect
import pkgutil
from functools import cache
from pathlib import Path
from typing import Protocol

import pytest

from fn_notifications.application import ports
from fn_notifications.testing import contracts

HERE = Path(__file__).parent


def modules(package):
    return [importlib.import_module(f"{package.__name__}.{one.name}") for one in pkgutil.iter_modules(package.__path__)]


def protocols() -> list[str]:
    return [
        name
        for module in modules(ports)
        for name, value in vars(module).items()
        if inspect.isclass(value) and Protocol in value.__bases__ and value.__module__ == module.__name__
    ]


def suites() -> dict[str, type]:
    return {
        name: value
        for module in modules(contracts)
        for name, value in vars(module).items()
        if inspect.isclass(value) and name.endswith("Contract")
    }


@cache
def classes() -> list[type]:
    """Every test class of this folder."""
    found = []
    for file in HERE.rglob("test_*_contract.py"):
        spec = importlib.util.spec_from_file_location(f"looked_at_{file.stem}", file)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        found += [one for one in vars(module).values() if inspect.isclass(one) and one.__name__.startswith("Test")]
    return found


def subjects(suite: type) -> list[str]:
    """The classes that run a suite, each over an adapter of its own."""
    return [one.__name__ for one in classes() if issubclass(one, suite)]


@pytest.mark.parametrize("port", protocols())
def test_a_port_has_a_contract_over_at_least_two_adapters(port):
    named = [f"{port}Contract", f"{port.removesuffix('Store')}Contract"]
    suite = next((suites()[name] for name in named if name in suites()), None)
    assert suite is not None, f"no contract called {named[0]} in fn_notifications.testing.contracts"
    assert len(subjects(suite)) >= 2, f"{suite.__name__} runs over {subjects(suite)} only"


def test_there_are_ports_to_look_at():
    assert len(protocols()) >= 15
