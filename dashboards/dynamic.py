"""A dashboard in Grafana's newer schema (dashboard.grafana.app/v2), made from its classic form."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from grafana_foundation_sdk.builders import dashboardv2 as build
from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.models import dashboard as classic
from grafana_foundation_sdk.models import dashboardv2
from grafana_foundation_sdk.models.resource import Manifest

from dashboards.style import DATASOURCE

Json = Mapping[str, Any]

_REFRESH = dict(zip(classic.VariableRefresh, dashboardv2.VariableRefresh, strict=True))
_SORT = dict(zip(classic.VariableSort, dashboardv2.VariableSort, strict=True))


def dynamic(board: Json) -> Manifest:
    """The same dashboard as a resource of Grafana's API: the same panels, places, variables and links.

    Args:
        board: the classic form, as JSON.
    """
    builder = (
        build.Dashboard(board["title"])
        .description(board["description"])
        .tags(board["tags"])
        .editable(True)
        .preload(False)
        .cursor_sync(dashboardv2.DashboardCursorSync.CROSSHAIR)
        .annotations([])
        .time_settings(
            build.TimeSettings()
            .from_val(board["time"]["from"])
            .to(board["time"]["to"])
            .timezone(board["timezone"])
            .auto_refresh(board["refresh"])
        )
        .links([_link(link) for link in board["links"]])
    )
    for variable in board["templating"]["list"]:
        builder.variable(_variable(variable))
    rows = build.Rows()
    for row, panels in in_rows(board):
        grid = build.Grid()
        for panel in panels:
            builder.element(_name(panel), _panel(panel))
            grid.item(_item(panel, row))
        rows.row(build.Row().title(row["title"]).collapse(False).layout(grid))
    return build.manifest(board["uid"], builder.layout(rows)).build()


def in_rows(board: Json) -> Iterator[tuple[Json, list[Json]]]:
    """Each row of a classic dashboard with the panels below it."""
    row: Json = {}
    below: list[Json] = []
    for panel in board["panels"]:
        if panel["type"] == "row":
            if row:
                yield row, below
            row, below = panel, []
        else:
            below.append(panel)
    yield row, below


def _name(panel: Json) -> str:
    return f"panel-{panel['id']}"


def _item(panel: Json, row: Json) -> build.GridItem:
    place = panel["gridPos"]
    below = place["y"] - row["gridPos"]["y"] - 1
    return build.grid_item(_name(panel)).x(place["x"]).y(below).width(place["w"]).height(place["h"])


def _panel(panel: Json) -> build.Panel:
    queries = build.QueryGroup().query_options(build.QueryOptionsSpec())
    for query in panel.get("targets", ()):
        asked = {name: value for name, value in query.items() if name not in {"refId", "datasource"}}
        queries.target(build.Target().ref_id(query["refId"]).hidden(False).query(_Query(asked)))
    for step in panel.get("transformations", ()):
        queries.transformation(build.Transformation().group(step["id"]).options(step["options"]))
    look = build.VizConfigKind().group(panel["type"]).version("").options(panel["options"])
    # The same JSON in both schemas.
    look.field_config(dashboardv2.FieldConfigSource.from_json(panel.get("fieldConfig", {})))
    return (
        build.Panel()
        .id(panel["id"])
        .title(panel["title"])
        .description(panel["description"])
        .links([])
        .data(queries)
        .visualization(look)
    )


class _Query(Builder[dashboardv2.DataQueryKind]):
    """What is asked of the chosen Prometheus."""

    def __init__(self, asked: Json) -> None:
        self._asked = asked

    def build(self) -> dashboardv2.DataQueryKind:
        """The query."""
        source = dashboardv2.Dashboardv2DataQueryKindDatasource(name=DATASOURCE.uid)
        return dashboardv2.DataQueryKind(group="prometheus", version="v0", datasource=source, spec=self._asked)


def _variable(variable: Json) -> build.QueryVariable | build.DatasourceVariable:
    if variable["type"] == classic.VariableType.DATASOURCE:
        return (
            build.DatasourceVariable(variable["name"])
            .label(variable["label"])
            .description(variable["description"])
            .plugin_id(variable["query"])
        )
    return (
        build.QueryVariable(variable["name"])
        .label(variable["label"])
        .description(variable["description"])
        .query(_Query(variable["query"]))
        .definition(variable["definition"])
        .refresh(_REFRESH[variable["refresh"]])
        .sort(_SORT[variable["sort"]])
        .multi(variable.get("multi", False))
        .include_all(variable.get("includeAll", False))
    )


def _link(link: Json) -> build.DashboardLink:
    return (
        build.DashboardLink()
        .title(link["title"])
        .type(dashboardv2.DashboardLinkType(link["type"]))
        .tags(link["tags"])
        .as_dropdown(link["asDropdown"])
        .include_vars(link["includeVars"])
        .keep_time(link["keepTime"])
    )
