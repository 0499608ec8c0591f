from hypothesis import HealthCheck, settings

# How long an example takes depends on the machine, and says nothing about the code.
settings.register_profile("untimed", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("untimed")
