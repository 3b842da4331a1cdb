"""How Hypothesis runs a rule that belongs to a contract."""

from typing import Final

from hypothesis import HealthCheck, settings

over_subjects: Final = settings(
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.differing_executors],
)
"""For rules that several subclasses inherit: subjects keep nothing between examples, so that neither one subject for
all of them nor another class's replayed example can mislead."""
