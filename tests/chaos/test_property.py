"""Any fleet, any edits, any disasters: it converges, and nothing happens twice."""

import os
from itertools import count

from chaos_cases import Run, all_well
from chaos_faults import DISASTERS, Script, scripted
from chaos_v1 import V1Fleet
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

EXAMPLES = int(os.environ.get("CHAOS_EXAMPLES", "6"))
"""Each is two fleets."""
_NUMBERS = count()

SCRIPTS = st.builds(
    Script,
    seed=st.integers(0, 2**32 - 1),
    machines=st.integers(1, 3),
    agents=st.integers(1, 2),
    edits=st.lists(st.sampled_from(sorted(V1Fleet.EDITS)), max_size=4, unique=True),
    disasters=st.lists(st.sampled_from(sorted(DISASTERS)), max_size=3),
)


@settings(
    max_examples=EXAMPLES, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck)
)
@given(scripts=st.lists(SCRIPTS, min_size=2, max_size=2))
def test_whatever_happens_it_converges(run_alone: Run, scripts: list[Script]) -> None:
    all_well(run_alone([("script", next(_NUMBERS), scripted(script)) for script in scripts]))
