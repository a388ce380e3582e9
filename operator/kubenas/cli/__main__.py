"""`python -m kubenas.cli`: the program `kubenas`."""

from kubenas.cli.main import app

if __name__ == "__main__":
    app()
