"""What the rows of a batch tell: tables of outcomes, studies and causes, two batches compared, pictures, a report.

Every function takes the rows as they come (a batch, a ledger, a frame of results); tables are frames, and pictures the
Axes that were drawn on, so that its result can be filtered, joined, saved and drawn upon further.
"""

from __future__ import annotations

from dicomkit.analysis.audit import Report as Report
from dicomkit.analysis.audit import report as report
from dicomkit.analysis.comparison import CHANGES as CHANGES
from dicomkit.analysis.comparison import compare as compare
from dicomkit.analysis.pictures import plot_latency as plot_latency
from dicomkit.analysis.pictures import plot_outcomes as plot_outcomes
from dicomkit.analysis.pictures import plot_throughput as plot_throughput
from dicomkit.analysis.tables import EXAMPLES_SHOWN as EXAMPLES_SHOWN
from dicomkit.analysis.tables import by_study as by_study
from dicomkit.analysis.tables import failures as failures
from dicomkit.analysis.tables import summary as summary
