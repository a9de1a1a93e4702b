"""The demonstration city. EVERYTHING HERE IS SYNTHETIC.

No school, pupil, address, sentence or institution code is real: codes lie in 900001 and up, pupil
ids start with 99 and carry a wrong check digit, the city is called עיר ההדגמה. Only counts of
schools, pupils and programmes follow the source documents, so that the demonstration has the
structure of a real city and every estimate can be scored against known truth.

`generate` is a pure function: same arguments, same city, to the byte. The truth frames hold gaps,
components, need, effects, assignment, causes, unmet need and overlaps. The best allocation under
the truth is not among them: it needs the allocation model, and belongs with that model's tests.
"""

from models.demo.city import DEFAULT_YEARS, SyntheticCity, generate
from models.demo.layout import Layout
from models.demo.profiles import PROFILES

__all__ = ["DEFAULT_YEARS", "PROFILES", "Layout", "SyntheticCity", "generate"]
