"""Is it there now, and is it the same: what an archive has of what it said it stored, by three methods.

Whoever said "stored" is asked again, by a service of its own: a query, a commitment, or the instance itself.
"""

from __future__ import annotations

from dicomkit.verification._run import verify as verify
