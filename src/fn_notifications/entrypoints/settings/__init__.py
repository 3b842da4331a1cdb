"""Everything a process is told before it starts. Only what the caller passes and the files of one folder are read."""

from fn_notifications.entrypoints.settings.describe import Row, describe
from fn_notifications.entrypoints.settings.load import load_settings
from fn_notifications.entrypoints.settings.model import Settings
from fn_notifications.entrypoints.settings.plan import Embed
from fn_notifications.entrypoints.settings.problems import Problem, SettingsError
from fn_notifications.entrypoints.settings.secret import Secret
from fn_notifications.entrypoints.settings.variables.service import Environment, Role

__all__ = [
    "Embed",
    "Environment",
    "Problem",
    "Role",
    "Row",
    "Secret",
    "Settings",
    "SettingsError",
    "describe",
    "load_settings",
]
