"""Is it there now, and is it the same: what an archive has of what it said it stored, by three methods.

The archive is asked by another service than it stores by: a query, storage commitment, or a retrieval.
"""

from __future__ import annotations

from dicomkit.verification._verify import verify as verify
