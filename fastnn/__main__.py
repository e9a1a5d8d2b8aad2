"""`python -m fastnn` is the command `fastnn`."""

from .cli import main

if __name__ == "__main__":
    main(prog_name="python -m fastnn")
