"""How hypothesis runs here: as it would (CI has a profile of its own), but not by the clock: machines may be busy."""

from hypothesis import HealthCheck, settings

settings.register_profile(
    "orderflow",
    parent=settings(),
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],  # whole records are slow to make up
)
settings.load_profile("orderflow")
