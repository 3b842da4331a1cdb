"""What an import brings with it, seen in a fresh interpreter. (`lint-imports` holds who may import whom.)"""

import json
import subprocess
import sys

_IMPORT = """
import importlib, json, pkgutil, sys
before = set(sys.modules)
def whole(package):
    for module in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
        importlib.import_module(module.name)
def bare(name):  # the package as a place, without what its own first lines import
    spec = importlib.util.find_spec(name)
    sys.modules[name] = importlib.util.module_from_spec(spec)
{}
print(json.dumps(sorted(set(sys.modules) - before)))
"""


def brought_by(lines: str) -> list[str]:
    """The modules that these lines add to a fresh interpreter."""
    command = [sys.executable, "-c", _IMPORT.format(lines)]
    run = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    return list(json.loads(run.stdout))


def third_party(modules: list[str]) -> set[str]:
    """Their top-level names, the standard library and ourselves left out."""
    return {name.partition(".")[0] for name in modules} - sys.stdlib_module_names - {"fn_notifications"}


def ours(modules: list[str]) -> set[str]:
    """The packages of ours among them."""
    return {name.split(".")[1] for name in modules if name.startswith("fn_notifications.")}


def test_the_domain_needs_attrs_and_nothing_else() -> None:
    modules = brought_by("import fn_notifications.domain; whole(fn_notifications.domain)")
    assert "fn_notifications.domain.delivery" in modules
    assert third_party(modules) == {"attr", "attrs"}


def test_the_domain_stands_by_itself() -> None:
    modules = brought_by("bare('fn_notifications'); import fn_notifications.domain as d; whole(d)")
    assert ours(modules) == {"domain"}
    assert {"asyncio", "logging", "zoneinfo", "socket"}.isdisjoint(modules)


def test_importing_the_package_loads_neither_adapters_nor_vendors() -> None:
    modules = brought_by("import fn_notifications")
    assert ours(modules) <= {"domain", "application"}
    assert third_party(modules) <= {"attr", "attrs", "cattr", "cattrs", "typing_extensions"}
