"""What the rows of a batch say: tables of outcomes, studies and causes, two batches compared, plots, a report.

Every function takes a batch, a ledger or a frame of results; tables are frames, and plots return the Axes they drew on.
"""

from __future__ import annotations

from dicomkit.analysis._audit import Report as Report
from dicomkit.analysis._audit import report as report
from dicomkit.analysis._comparison import CHANGES as CHANGES
from dicomkit.analysis._comparison import compare as compare
from dicomkit.analysis._current import current as current
from dicomkit.analysis._plots import plot_latency as plot_latency
from dicomkit.analysis._plots import plot_outcomes as plot_outcomes
from dicomkit.analysis._plots import plot_throughput as plot_throughput
from dicomkit.analysis._tables import EXAMPLES_SHOWN as EXAMPLES_SHOWN
from dicomkit.analysis._tables import by_study as by_study
from dicomkit.analysis._tables import failures as failures
from dicomkit.analysis._tables import summary as summary
