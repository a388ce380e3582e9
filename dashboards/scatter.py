"""Panels of points."""

from __future__ import annotations

from grafana_foundation_sdk.builders import common, xychart
from grafana_foundation_sdk.builders import dashboard as build
from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.models import common as looks
from grafana_foundation_sdk.models import dashboard
from grafana_foundation_sdk.models.xychart import MatcherConfig, SeriesMapping, XYSeriesConfig, XYShowMode

from dashboards.style import DATASOURCE, HEIGHT, settings, steps


def scatter(title: str, description: str, x: tuple[str, str], y: str, unit: str = "short") -> xychart.Panel:
    """Points, each a row of a table.

    Args:
        title: the panel's.
        description: the panel's.
        x: the horizontal axis: the column, and what the axis is called.
        y: what the vertical axis is called.
        unit: of the vertical axis.
    """
    column, label = x
    legend = (
        common.VizLegendOptions()
        .display_mode(looks.LegendDisplayMode.LIST)
        .placement(looks.LegendPlacement.BOTTOM)
        .show_legend(True)
    )
    return (
        xychart.Panel()
        .title(title)
        .description(description)
        .unit(unit)
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
        .override_by_name(column, settings({"custom.axisLabel": label, "unit": "short"}))
    )


def points(panel: xychart.Panel, x: str, names: dict[str, str]) -> xychart.Panel:
    """Show columns against the column `x`, each with its colour."""
    series: list[Builder[XYSeriesConfig]] = []
    for name, color in names.items():
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
