"""Charts of reports: a class per kind, each in its own file."""

from ctrkit.report.charts.bars import Bars
from ctrkit.report.charts.base import Chart, to_svg
from ctrkit.report.charts.groups import Groups
from ctrkit.report.charts.heat import Heat
from ctrkit.report.charts.line import Line
from ctrkit.report.charts.operations import Operations
from ctrkit.report.charts.parallel import Axis, Parallel
from ctrkit.report.charts.scatter import Scatter
from ctrkit.report.charts.trials import Trials

__all__ = [
    "Axis",
    "Bars",
    "Chart",
    "Groups",
    "Heat",
    "Line",
    "Operations",
    "Parallel",
    "Scatter",
    "Trials",
    "to_svg",
]
