"""`python -m agfnet` is `agfnet`."""

import sys

from agfnet.cli import main

sys.exit(main())
