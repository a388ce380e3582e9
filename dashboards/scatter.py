"""Panels of points."""

from __future__ import annotations

from collections.abc import Mapping

from grafana_foundation_sdk.builders import common, xychart
from grafana_foundation_sdk.builders import dashboard as build
from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.models import common as looks
from grafana_foundation_sdk.models import dashboard
from grafana_foundation_sdk.models.xychart import MatcherConfig, SeriesMapping, XYSeriesConfig, XYShowMode

from dashboards.style import DATASOURCE, HEIGHT, settings, steps


def scatter(title: str, description: str, x: Mapping[str, str], y: str) -> xychart.Panel:
    """Points, each a row of a table.

    Args:
        title: the panel's.
        description: the panel's.
        x: columns of the horizontal axis, and what it is called.
        y: what the vertical axis is called.
    """
    legend = (
        common.VizLegendOptions()
        .display_mode(looks.LegendDisplayMode.LIST)
        .placement(looks.LegendPlacement.BOTTOM)
        .show_legend(True)
    )
    panel = (
        xychart.Panel()
        .title(title)
        .description(description)
        .unit("short")
        .span(8)
        .height(HEIGHT)
        .datasource(DATASOURCE)
        .thresholds(steps("green"))
        .color_scheme(build.FieldColor().mode(dashboard.FieldColorModeId.PALETTE_CLASSIC))
        .show(XYShowMode.POINTS)
        .mapping(SeriesMapping.MANUAL)
        .legend(legend)
        .tooltip(common.VizTooltipOptions().mode(looks.TooltipDisplayMode.SINGLE))
        .point_size(xychart.XychartFieldConfigPointSize().fixed(8))
        .axis_label(y)
    )
    for column, label in x.items():
        panel.override_by_name(column, settings({"custom.axisLabel": label}))
    return panel


def points(panel: xychart.Panel, names: Mapping[str, tuple[str, str]]) -> xychart.Panel:
    """Show columns, each against the column and in the colour that are given for it."""
    series: list[Builder[XYSeriesConfig]] = []
    for name, (x, color) in names.items():
        series.append(
            xychart.XYSeriesConfig()
            .name(xychart.XychartXYSeriesConfigName().fixed(name))
            .frame(xychart.XychartXYSeriesConfigFrame().matcher(_Matcher("byIndex", 0)))
            .x(xychart.XychartXYSeriesConfigX().matcher(_Matcher("byName", x)))
            .y(xychart.XychartXYSeriesConfigY().matcher(_Matcher("byName", name)))
        )
        panel.override_by_name(name, settings({"color": {"mode": "fixed", "fixedColor": color}}))
    return panel.series(series)


class _Matcher(xychart.MatcherConfig):
    def __init__(self, kind: str, options: object) -> None:
        self._internal = MatcherConfig(id_val=kind, options=options)
