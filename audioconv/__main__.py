"""``python -m audioconv``: the same as the command ``audioconv``."""

from audioconv.cli import main

if __name__ == "__main__":
    main()
