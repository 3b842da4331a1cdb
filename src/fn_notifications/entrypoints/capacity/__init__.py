"""How much a deployment takes: a pure calculation from what is asked of it and what was measured."""
