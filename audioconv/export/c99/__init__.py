"""Models as C99 source: no dependencies but the standard library, no allocation.

`network` lowers the operations of a described model to statements, `memory` gives their arrays places in one scratch
array, `stream` writes what listening needs, `program` puts header and source together, and `compiler` compares them
with the model by a C compiler. The routines lie in `routines/*.c`; only those that a model needs go into its source.
"""

from __future__ import annotations
