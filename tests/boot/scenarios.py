"""What happens on a container instance: each scenario boots its own machine beside its own cloud."""

from anywhere import anywhere
from booting import edited, given_up, healthy, late, old_units, refused, source_down
from gates import health_gate
from guarding import guard
from hosts import Tally
from rotating import rotated_secrets
from shipping import ansible, ordering, package_life, rpm_life, user_data

# What depends on the versions of systemd and Docker; the other scenarios are about this project's own files.
EVERYWHERE = (healthy, guard, edited, source_down, refused, late, given_up, package_life)
SCENARIOS = (*EVERYWHERE, health_gate, rotated_secrets, old_units, rpm_life, user_data, ansible, ordering, anywhere)


def run(deb, word, suite):
    """Runs the suite's scenarios whose name has the word."""
    tally = Tally()
    for scenario in SCENARIOS if suite == "bookworm" else EVERYWHERE:
        if word in scenario.__name__:
            scenario(tally, deb)
    return tally
