"""Any fleet, any edits, any disasters: it converges, and nothing happens twice."""

import os
from itertools import count

from chaos_cases import Run, all_well, of
from chaos_faults import DISASTERS, Script, scripted
from chaos_fleet import Fleet
from chaos_v1 import V1Fleet
from chaos_v2 import V2Fleet
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

EXAMPLES = int(os.environ.get("CHAOS_EXAMPLES", "6"))
"""Each is two fleets, one of each protocol."""
_NUMBERS = count()


def scripts(profile: type[Fleet]) -> st.SearchStrategy[tuple[type[Fleet], Script]]:
    """Random stories of fleets of one protocol."""
    script = st.builds(
        Script,
        seed=st.integers(0, 2**32 - 1),
        machines=st.integers(1, 3),
        agents=st.integers(1, 2),
        edits=st.lists(st.sampled_from(sorted(profile.EDITS)), max_size=4, unique=True),
        disasters=st.lists(st.sampled_from(sorted(DISASTERS)), max_size=3),
    )
    return st.tuples(st.just(profile), script)


@settings(
    max_examples=EXAMPLES, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck)
)
@given(stories=st.tuples(*map(scripts, (V1Fleet, V2Fleet))))
def test_whatever_happens_it_converges(run_alone: Run, stories: tuple[tuple[type[Fleet], Script], ...]) -> None:
    all_well(run_alone([("script", next(_NUMBERS), of(profile, scripted(script))) for profile, script in stories]))
