"""The long form: 20,000 events from four sources at once, and ten times kill -9. EVENTS, KILLS and SCENARIO_SEED change it."""

import os

from events_kill_scenario import prove


def test_twenty_thousand_events_and_ten_kills():
    prove(int(os.environ.get("EVENTS", "20000")), int(os.environ.get("KILLS", "10")))
