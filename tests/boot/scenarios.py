"""What happens on a container instance: each scenario boots its own machine beside its own cloud."""

from anywhere import anywhere
from booting import edited, given_up, healthy, late, old_units, refused, source_down
from gates import health_gate
from guarding import guard
from hosts import Tally
from shipping import ansible, ordering, package_life, rpm_life, user_data

SCENARIOS = (healthy, guard, edited, source_down, refused, late, health_gate, given_up, old_units, package_life, rpm_life, user_data, ansible, ordering, anywhere)


def run(deb, word):
    """Runs all scenarios whose name has the word."""
    tally = Tally()
    for scenario in SCENARIOS:
        if word in scenario.__name__:
            scenario(tally, deb)
    return tally
