"""How hypothesis runs here: the same everywhere (CI has a profile of its own), and not by the clock.

Few examples in each of the many runs of the tests; `--hypothesis-profile thorough` is for when there is time.
"""

from hypothesis import HealthCheck, settings

settings.register_profile(
    "orderflow",
    parent=settings(),
    max_examples=50,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],  # whole records are slow to make up
)
settings.register_profile("thorough", parent=settings.get_profile("orderflow"), max_examples=1_000)
settings.load_profile("orderflow")
