"""`make faults`: play every fault of the catalogue and print the table."""

import sys

from tests.faults.catalogue import main

sys.exit(main())
