"""How panels look: a start for each kind of panel, queries in the three forms that panels take, colours."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeVar

from grafana_foundation_sdk.builders import bargauge, common, prometheus, stat, statetimeline, table, text, timeseries
from grafana_foundation_sdk.builders import dashboard as build
from grafana_foundation_sdk.models import common as looks
from grafana_foundation_sdk.models import dashboard
from grafana_foundation_sdk.models import prometheus as promql
from grafana_foundation_sdk.models.text import TextMode

DATASOURCE = looks.DataSourceRef(type_val="prometheus", uid="${datasource}")
GREEN, YELLOW, ORANGE, RED, BLUE, PURPLE, GREY = "green", "yellow", "orange", "red", "blue", "purple", "#808080"
PHASES = {
    "Pending": GREY,
    "Running": BLUE,
    "Measuring": "light-blue",
    "Suspended": YELLOW,
    "Succeeded": GREEN,
    "Pruned": PURPLE,
    "Failed": RED,
    "Rejected": ORANGE,
}
HEIGHT = 8

_Panel = TypeVar("_Panel", timeseries.Panel, stat.Panel, bargauge.Panel, table.Panel, statetimeline.Panel)


def line(expression: str, legend: str, ref: str = "A") -> prometheus.Dataquery:
    """A query over the time that the dashboard shows, with the name of its lines."""
    return prometheus.Dataquery().expr(expression).legend_format(legend).ref_id(ref).datasource(DATASOURCE).range()


def value(expression: str, legend: str, ref: str = "A") -> prometheus.Dataquery:
    """A query at the end of that time."""
    return prometheus.Dataquery().expr(expression).legend_format(legend).ref_id(ref).datasource(DATASOURCE).instant()


def rows(expression: str, ref: str = "A") -> prometheus.Dataquery:
    """The same as a table: a row for each series, a column for each label and one for the value."""
    query = prometheus.Dataquery().expr(expression).ref_id(ref).datasource(DATASOURCE).instant()
    return query.format(promql.PromQueryFormat.TABLE)


def _begun(panel: _Panel, title: str, description: str, unit: str, width: int, height: int) -> _Panel:
    """What every panel of Prometheus' answers has."""
    return panel.title(title).description(description).unit(unit).span(width).height(height).datasource(DATASOURCE)


def lines(title: str, description: str, unit: str, width: int = 8, height: int = HEIGHT) -> timeseries.Panel:
    """Lines over time."""
    legend = (
        common.VizLegendOptions()
        .display_mode(looks.LegendDisplayMode.LIST)
        .placement(looks.LegendPlacement.BOTTOM)
        .show_legend(True)
    )
    tooltip = common.VizTooltipOptions().mode(looks.TooltipDisplayMode.MULTI).sort(looks.SortOrder.DESCENDING)
    return (
        _begun(timeseries.Panel(), title, description, unit, width, height)
        .legend(legend)
        .tooltip(tooltip)
        .thresholds(steps(GREEN))
        .color_scheme(build.FieldColor().mode(dashboard.FieldColorModeId.PALETTE_CLASSIC))
        .line_width(2)
        .fill_opacity(8)
        .show_points(looks.VisibilityMode.AUTO)
    )


def stacked(panel: timeseries.Panel) -> timeseries.Panel:
    """Lines on top of each other, as areas."""
    return panel.fill_opacity(60).line_width(1).min(0).stacking(common.StackingConfig().mode(looks.StackingMode.NORMAL))


def stepped(panel: timeseries.Panel) -> timeseries.Panel:
    """Lines that keep a value until the next one."""
    return panel.line_interpolation(looks.LineInterpolation.STEP_AFTER)


def counted(panel: timeseries.Panel) -> timeseries.Panel:
    """Lines of things that are counted: from zero, in whole numbers."""
    return panel.min(0).decimals(0)


def shaded(panel: timeseries.Panel, color: str) -> timeseries.Panel:
    """Lines in shades of one colour."""
    return panel.color_scheme(build.FieldColor().mode(dashboard.FieldColorModeId.SHADES).fixed_color(color))


def as_limit(panel: timeseries.Panel, name: str, color: str = RED) -> timeseries.Panel:
    """Show a line of a name as what others are held against: dashed, unfilled, outside of any stack."""
    dashes = {"fill": "dash", "dash": [10, 10]}
    properties = {
        "color": {"mode": "fixed", "fixedColor": color},
        "custom.lineStyle": dashes,
        "custom.fillOpacity": 0,
        "custom.stacking": {"mode": "none"},
    }
    return panel.override_by_name(name, settings(properties))


def coloured(panel: timeseries.Panel, colors: Mapping[str, str]) -> timeseries.Panel:
    """Give lines of known names their colours."""
    for name, color in colors.items():
        panel.override_by_name(name, settings({"color": {"mode": "fixed", "fixedColor": color}}))
    return panel


def number(title: str, description: str, unit: str, width: int = 4, height: int = 4) -> stat.Panel:
    """Numbers as of the end of the time shown."""
    return (
        _begun(stat.Panel(), title, description, unit, width, height)
        .thresholds(steps(BLUE))
        .color_mode(looks.BigValueColorMode.VALUE)
        .graph_mode(looks.BigValueGraphMode.NONE)
        .text_mode(looks.BigValueTextMode.AUTO)
        .reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]))
    )


def bars(title: str, description: str, unit: str, width: int = 8, height: int = HEIGHT) -> bargauge.Panel:
    """Numbers to compare, as of the end of the time shown."""
    return (
        _begun(bargauge.Panel(), title, description, unit, width, height)
        .min(0)
        .thresholds(steps(BLUE))
        .orientation(looks.VizOrientation.HORIZONTAL)
        .display_mode(looks.BarGaugeDisplayMode.BASIC)
        .reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]))
    )


def listing(title: str, description: str, width: int = 24, height: int = HEIGHT) -> table.Panel:
    """A table as of the end of the time shown."""
    return _begun(table.Panel(), title, description, "short", width, height).thresholds(steps(BLUE))


def timeline(title: str, description: str, width: int = 24, height: int = HEIGHT) -> statetimeline.Panel:
    """States over time."""
    return (
        _begun(statetimeline.Panel(), title, description, "none", width, height)
        .show_value(looks.VisibilityMode.AUTO)
        .row_height(0.8)
        .thresholds(steps(BLUE))
    )


def prose(title: str, description: str, markdown: str, width: int = 24, height: int = 4) -> text.Panel:
    """Words of the dashboard's own."""
    return (
        text.Panel()
        .title(title)
        .description(description)
        .mode(TextMode.MARKDOWN)
        .content(markdown)
        .span(width)
        .height(height)
    )


def steps(first: str, *later: tuple[float, str]) -> build.ThresholdsConfig:
    """Colours of values: the first one, and others from a value on."""
    thresholds = [dashboard.Threshold(value=None, color=first)]
    thresholds += [dashboard.Threshold(value=start, color=color) for start, color in later]
    return build.ThresholdsConfig().mode(dashboard.ThresholdsMode.ABSOLUTE).steps(thresholds)


def named(names: Mapping[str, tuple[str, str]]) -> list[dashboard.ValueMapping]:
    """Words and colours in place of values."""
    results = {
        key: dashboard.ValueMappingResult(text=word, color=color, index=index)
        for index, (key, (word, color)) in enumerate(names.items())
    }
    return [dashboard.ValueMap(options=results)]


def settings(values: Mapping[str, object]) -> list[dashboard.DynamicConfigValue]:
    """What an override sets."""
    return [dashboard.DynamicConfigValue(id_val=name, value=given) for name, given in values.items()]


def transformation(kind: str, **options: object) -> dashboard.DataTransformerConfig:
    """A step between Prometheus' answers and what is shown."""
    return dashboard.DataTransformerConfig(id_val=kind, options=options)


def to_numbers(*fields: str) -> dashboard.DataTransformerConfig:
    """Take labels for numbers."""
    return transformation(
        "convertFieldType", conversions=[{"targetField": field, "destinationType": "number"} for field in fields]
    )


def columns(names: Mapping[str, str], drop: Sequence[str] = ()) -> dashboard.DataTransformerConfig:
    """A table's columns in order, with the names that they get; others come after them.

    Args:
        names: from a field to its column's name.
        drop: fields that are not shown.
    """
    return transformation(
        "organize",
        excludeByName=dict.fromkeys(("Time", *drop), True),
        indexByName={name: index for index, name in enumerate(names)},
        renameByName={name: shown for name, shown in names.items() if name != shown},
    )
