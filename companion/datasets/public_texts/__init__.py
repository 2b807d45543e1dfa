"""Public texts: film reviews, names in tweets, parts of speech, graded pairs, plays.

Their files are looked for below `COMPANION_DATA`, then downloaded; none of them ships with the
package. Three are datasets with labels and have a name for `load_dataset`; the graded pairs and
the plays are returned by a function each.
"""

from companion.datasets.public_texts import polarity, ud_english, wnut17
from companion.datasets.public_texts.shakespeare import PLAYS, load_shakespeare
from companion.datasets.public_texts.sts2016 import load_sts2016

__all__ = ["PLAYS", "load_shakespeare", "load_sts2016", "polarity", "ud_english", "wnut17"]
