"""``python -m xraynet``: the same as the ``xraynet`` command."""

from xraynet.cli.main import run

if __name__ == "__main__":
    run()
