"""What the domain refuses. A business "no" is never here: it is a decision with a reason."""


class DomainError(Exception):
    """A caller broke a rule of the model. Messages hold no address."""


class InvalidValue(DomainError, ValueError):
    """A value cannot be what its type says; the message names the rule, never the value."""


class IllegalTransition(DomainError):
    """An event does not follow from the state; the state is unchanged."""
