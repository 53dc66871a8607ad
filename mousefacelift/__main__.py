import sys

from mousefacelift.cli import main

if __name__ == "__main__":
    sys.exit(main())
