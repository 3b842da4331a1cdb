"""How hard Hypothesis looks: as `HYPOTHESIS_PROFILE` says, else `ci` in CI. No profile times an example."""

import os

from hypothesis import settings

settings.register_profile("dev", deadline=None)
settings.register_profile("fast", max_examples=20, deadline=None)
settings.register_profile("ci", max_examples=200, deadline=None, print_blob=True)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE") or ("ci" if os.environ.get("CI") else "dev"))
