"""The options of `batch`, with what its help says about each."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from orchestrator.cli.values import parse_place

SENDING, THERE = "A new batch", "A batch that is there"


class Mode(StrEnum):
    """What wrong lines do to the others."""

    ATOMIC = "atomic"
    PARTIAL = "partial"


Subject = Annotated[
    str,
    typer.Argument(
        metavar="SOURCE|ID",
        show_default=False,
        help="A .jsonl, .json or .csv file or a folder of images to send; or the id of a batch.",
    ),
]
Out = Annotated[
    Path | None,
    typer.Option(
        parser=parse_place,
        metavar="DIR",
        show_default=False,
        help="Where outputs are saved; by default in a folder NAME-ID. With an ID: save them now.",
    ),
]
Model = Annotated[
    str,
    typer.Option(
        metavar="MODEL",
        show_default=False,
        rich_help_panel=SENDING,
        help="For lines that name none, such as wavespeed-ai/flux-dev.",
    ),
]
Name = Annotated[
    str,
    typer.Option(
        metavar="NAME",
        show_default=False,
        rich_help_panel=SENDING,
        help="Its name; else that of the source. The same lines under another name are another batch.",
    ),
]
Param = Annotated[
    list[str],
    typer.Option(
        "--param",
        "-p",
        metavar="NAME=VALUE",
        default_factory=list,
        show_default=False,
        rich_help_panel=SENDING,
        help="An input for every line that does not give it; @FILE is uploaded once.",
    ),
]
ImageField = Annotated[
    str,
    typer.Option(metavar="NAME", rich_help_panel=SENDING, help="The input that a folder's images become."),
]
OnWrong = Annotated[
    Mode,
    typer.Option(
        metavar="MODE",
        rich_help_panel=SENDING,
        help="atomic: a wrong line keeps all out; partial: only itself.",
    ),
]
Strict = Annotated[
    bool,
    typer.Option(
        "--strict", rich_help_panel=SENDING, help="Take a model that is not in the catalogue for a wrong one."
    ),
]
Priority = Annotated[
    int | None,
    typer.Option(
        min=0,
        max=9,
        metavar="N",
        show_default=False,
        rich_help_panel=SENDING,
        help="0 is first, 9 is last; batches have 6, single jobs 3.",
    ),
]
Webhook = Annotated[
    str,
    typer.Option(
        metavar="URL", show_default=False, rich_help_panel=SENDING, help="To be told when the batch ends."
    ),
]
JobWebhook = Annotated[
    str,
    typer.Option(
        metavar="URL", show_default=False, rich_help_panel=SENDING, help="To be told when each job ends."
    ),
]
NotBefore = Annotated[
    str,
    typer.Option(
        metavar="TIME",
        show_default=False,
        rich_help_panel=SENDING,
        help="Start nothing earlier, such as 2027-01-31T22:00:00Z.",
    ),
]
StartBy = Annotated[
    str,
    typer.Option(
        metavar="TIME",
        show_default=False,
        rich_help_panel=SENDING,
        help="Give up what has not started by then.",
    ),
]
FinishBy = Annotated[
    str,
    typer.Option(
        metavar="TIME",
        show_default=False,
        rich_help_panel=SENDING,
        help="Give up what has not ended by then.",
    ),
]
TryOut = Annotated[
    bool, typer.Option("--dry-run", rich_help_panel=SENDING, help="Say what is wrong with it; send nothing.")
]
Again = Annotated[
    bool,
    typer.Option(
        "--again",
        rich_help_panel=SENDING,
        help="Make a new batch of a source that has made one; goes on with it until it is finished.",
    ),
]
NoWait = Annotated[
    bool,
    typer.Option("--no-wait", rich_help_panel=SENDING, help="Only send it, and print its id."),
]
RetryFailed = Annotated[
    bool, typer.Option("--retry-failed", rich_help_panel=THERE, help="Give its failed jobs another try.")
]
Fingerprint = Annotated[
    str,
    typer.Option(
        metavar="F", show_default=False, rich_help_panel=THERE, help="Only those that failed alike."
    ),
]
Cancel = Annotated[bool, typer.Option("--cancel", rich_help_panel=THERE, help="Send nothing more of it.")]
Pause = Annotated[bool, typer.Option("--pause", rich_help_panel=THERE, help="Send nothing more for now.")]
Resume = Annotated[bool, typer.Option("--resume", rich_help_panel=THERE, help="Go on after a pause.")]
Results = Annotated[
    Path | None,
    typer.Option(
        parser=parse_place,
        metavar="FILE",
        show_default=False,
        rich_help_panel=THERE,
        help="Write its results there, as JSONL or, to a .csv, as CSV; - is the standard output.",
    ),
]
Watch = Annotated[bool, typer.Option("--watch", rich_help_panel=THERE, help="Stay until it ends.")]
