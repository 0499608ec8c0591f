"""`python -m reelhook` is the command line."""

from reelhook.cli import main

if __name__ == "__main__":
    main()
