"""32 MCP clients edit the same eight files under five kill -9."""

from lib import check
from writers_lib import run


def test_nothing_acknowledged_is_lost_and_the_history_explains_every_byte():
    tally = run(clients=32, files=8, edits=25, kills=5)
    print(f"{len(tally.acknowledged)} acknowledged, {len(tally.unknown)} unknown, {tally.refused} refused and repeated")
    check(len(tally.acknowledged) > 600, f"most edits were acknowledged: {len(tally.acknowledged)}")
