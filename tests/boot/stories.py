"""What happens on a container instance, told as it happens: each story boots its own machine beside its own cloud."""

from anywhere import anywhere
from booting import edited, healthy, late, refused, source_down
from fencing import fence
from hosts import Tally
from shipping import ansible, circle, package_life, rpm_life, user_data

STORIES = (healthy, fence, edited, source_down, refused, late, package_life, rpm_life, user_data, ansible, circle, anywhere)


def tell(deb, word):
    """Tells all stories whose name has the word."""
    tally = Tally()
    for story in STORIES:
        if word in story.__name__:
            story(tally, deb)
    return tally
