"""Bitrot: files that changed on disk although nobody wrote them are found and no longer served.

Bricks note which files were written. The daemon bitd signs each of them some time after its last writer
closed it; the scrubber reads them again and compares.

Source: glusterfs 10.3 xlators/mgmt/glusterd/src/glusterd-bitrot.c (what is stored), glusterd-volgen.c
(brick_graph_add_bitrot_stub, brick_graph_add_changelog), cli/src/cli-cmd-parser.c (cli_cmd_bitrot_parse: the
values that there are).
"""

from __future__ import annotations

from reconciler.feature import Feature
from reconciler.plugins.bitrot.graphs import GRAPHS
from reconciler.plugins.bitrot.spec import OPTIONS, SCHEMA, SWITCH, implies, read, signing_fits
from reconciler.plugins.bitrot.volfile import SIGNING_ASKED_FOR, VERSIONS
from reconciler.volgen.slots import MissingDaemon

FEATURE = Feature(
    name="bitrot",
    schema=SCHEMA,
    options=OPTIONS,
    read=read,
    implies=implies,
    switch=SWITCH,
    rules=(signing_fits,),
    brick_slots=(VERSIONS, SIGNING_ASKED_FOR),
    graphs=GRAPHS,
    missing_daemons=(
        MissingDaemon(daemon="bitd", switch=SWITCH, without="no file would be signed and no damage found"),
    ),
)
