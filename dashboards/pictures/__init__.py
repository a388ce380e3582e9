"""Draws dashboards from Prometheus' answers: the same grid, panels, names, units and colours, one picture a dashboard.

A picture is for the documentation; Grafana draws panels in more ways than are drawn here.
"""
