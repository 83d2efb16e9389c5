"""Eight MCP clients, three files, one kill -9. The larger form: workspace_writers_full."""

from lib import check
from writers_lib import run


def test_nothing_acknowledged_is_lost_and_the_history_explains_every_byte():
    tally = run(clients=8, files=3, edits=12, kills=1)
    check(len(tally.acknowledged) > 60, f"most edits were acknowledged: {len(tally.acknowledged)}")
