"""KubeNAS' Grafana dashboards, written in Python with Grafana's Foundation SDK.

`boards` names the four dashboards, `panels` has a function for each panel, `queries` all that is asked of Prometheus;
`generate` writes them in the classic schema and, made from the same panels (`dynamic`), in the newer one. `pictures`
draws a dashboard from Prometheus' answers.
"""
