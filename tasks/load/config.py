"""The section ``load`` of the experiment document: users over time, their pace, and what each one does."""

from __future__ import annotations

from itertools import pairwise
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, Discriminator, Field, Tag, model_validator

from tasks.base.model import Name, Seconds, Strict
from tasks.load.address import address_problem
from tasks.load.walk import VARIABLE

Users = Annotated[int, Field(ge=0, le=100_000)]
Point = Annotated[tuple[Annotated[float, Field(ge=0, le=30 * 86_400)], Annotated[float, Field(ge=0, le=100_000)]], Field(strict=False)]
"""Seconds since the load began, and users from then on."""
IMAGE = r"^[a-z0-9][a-z0-9._-]*(:[0-9]+)?(/[a-z0-9][a-z0-9._-]*)*(:[A-Za-z0-9_][A-Za-z0-9_.-]*)?(@sha256:[0-9a-f]{64})?$"
"""An image's name, with a tag or a digest or both."""


def _address(text: str) -> str:
    if problem := address_problem(text):
        raise ValueError(problem)
    return text.rstrip("/")


Listed = Field(strict=False)  # YAML has lists where the frozen models keep tuples


class Constant(Strict):
    """The same number of users all the time."""

    shape: Literal["constant"]
    """Name of the shape."""
    users: Annotated[int, Field(ge=1, le=100_000)]
    """Virtual users at work."""


class Steps(Strict):
    """A stair: each number of users is held for the same time, and the last one on."""

    shape: Literal["steps"]
    """Name of the shape."""
    users: Annotated[tuple[Users, ...], Field(min_length=1, max_length=10_000, strict=False)]
    """Users of each step, in order."""
    step_s: Seconds
    """Length of one step in seconds."""
    repeat: bool = False
    """Whether the stair begins again after its last step."""


class Ramp(Strict):
    """A straight line from one number of users to another, which is then held."""

    shape: Literal["ramp"]
    """Name of the shape."""
    from_users: Users
    """Users at the start."""
    to_users: Users
    """Users at the end of the ramp and from then on."""
    duration_s: Seconds
    """Length of the ramp in seconds."""


class DayNight(Strict):
    """A cosine between a quiet night and a busy day; it starts at night."""

    shape: Literal["day-night"]
    """Name of the shape."""
    night_users: Users
    """Users at the quietest moment."""
    day_users: Users
    """Users at the busiest moment, half a period later."""
    period_s: Seconds = 86_400.0
    """From one night to the next, in seconds."""


class FlashCrowd(Strict):
    """A steady number of users, a sudden crowd, and the way back."""

    shape: Literal["flash-crowd"]
    """Name of the shape."""
    users: Users
    """Users before and after the crowd."""
    peak_users: Users
    """Users while the crowd is there."""
    at_s: Seconds
    """When the crowd begins to come, in seconds after the start of the load."""
    rise_s: Seconds = 5.0
    """Time until all have come, in seconds."""
    hold_s: Seconds = 30.0
    """Time that they stay, in seconds."""
    fall_s: Seconds = 15.0
    """Time until all have gone, in seconds."""


class Csv(Strict):
    """Users from a table with the columns ``time_s,users``."""

    shape: Literal["csv"]
    """Name of the shape."""
    file: Annotated[str, Field(min_length=1, max_length=1000)]
    """The CSV file, relative to the document's folder or else to the shipped ``configs`` folder."""
    interpolate: Literal["held", "linear"] = "held"
    """Between two rows: hold the earlier number, or follow a straight line."""
    points: Annotated[tuple[Point, ...], Field(min_length=1, max_length=20_000, strict=False)] | None = None
    """The rows themselves, ``[time_s, users]``; read from the file when left out, and kept with every run."""

    @model_validator(mode="after")
    def _rising(self) -> Self:
        times = [time_s for time_s, _ in self.points or ()]
        if times and times[0] != 0:
            raise ValueError(f"points must begin at 0 s, not at {times[0]:g}")
        if late := next((after for before, after in pairwise(times) if after <= before), None):
            raise ValueError(f"points must rise in time, and {late:g} s does not")
        return self


Shape = Annotated[Constant | Steps | Ramp | DayNight | FlashCrowd | Csv, Field(discriminator="shape")]


class Account(Strict):
    """A login of the application; virtual users share the accounts in turn."""

    user: Annotated[str, Field(min_length=1, max_length=200)]
    """Login name."""
    password: Annotated[str, Field(max_length=200)]
    """Its password."""


class Learn(Strict):
    """A variable that is drawn from a JSON reply: a list of objects, one of which is chosen at random."""

    name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,30}$")]
    """The variable; later requests write it as ``{name}``."""
    field: Annotated[str, Field(min_length=1, max_length=100)]
    """Which field of the chosen object is its value."""


class Request(Strict):
    """One HTTP request of a journey."""

    method: Literal["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD"]
    """HTTP method."""
    path: Annotated[str, Field(pattern=r"^/[^\s#]*$", max_length=1000)]
    """Path and query, with variables as ``{name}``; the method and this template are the name of the endpoint."""
    login: bool = False
    """Whether to send the account as HTTP basic authentication."""
    body: dict[str, Any] | None = None
    """A JSON body; text values may hold variables."""
    learn: Learn | None = None
    """A variable to draw from the reply."""
    declined: Annotated[tuple[Annotated[int, Field(ge=400, le=499)], ...], Listed] = ()
    """Statuses that mean a refusal by the rules of the shop (406: payment declined): counted apart, never as failures."""
    pause_s: Seconds | None = None
    """Time to think before this request, in seconds."""

    @property
    def endpoint(self) -> str:
        """Method and path template, ``GET /catalogue``."""
        return f"{self.method} {self.path}"


class Journey(Strict):
    """What one user does in one visit: requests in order."""

    name: Name
    """Unique in the set."""
    weight: Annotated[float, Field(gt=0, le=1e6)] = 1.0
    """How often it is chosen, relative to the other journeys of the set."""
    requests: Annotated[tuple[Request, ...], Field(min_length=1, max_length=200, strict=False)]
    """Its requests, sent one after the other."""


class LoadConfig(Strict):
    """How many users there are at each moment, how often each sets out, and on which journeys."""

    users: Shape
    """Users over time."""
    journeys_per_user_per_s: Annotated[float, Field(gt=0, le=100)] = 0.5
    """Pace of each user, journeys per second; planned journeys per second = users x pace."""
    journeys: Annotated[
        Annotated[Name, Tag("name")] | Annotated[tuple[Journey, ...], Field(min_length=1, max_length=100, strict=False), Tag("list")],
        Discriminator(lambda value: "name" if isinstance(value, str) else "list"),
    ] = "sock-shop"
    """Name of a journey set (a file of ``configs/journeys``), or the journeys themselves."""
    accounts: Annotated[tuple[Account, ...], Listed] = ()
    """Logins of the virtual users; empty: those of the journey set."""
    timeout_s: Seconds = 10.0
    """A request without an answer for this long has failed, in seconds."""
    generator_cpu_limit_ratio: Annotated[float, Field(gt=0, le=1)] = 0.7
    """Above this share of a core the load generator itself is the bottleneck: such seconds are degraded."""
    generator_memory_limit_bytes: Annotated[int, Field(ge=64 << 20)] = 1 << 30
    """Above this resident size of the load generator, seconds are degraded."""
    address: Annotated[str, Field(max_length=300), AfterValidator(_address)] | None = None
    """Where load goes, as in ``http://127.0.0.1:8080``, as the generators see it; null: the entry of the application that was deployed."""
    place: Literal["here", "pods"] = "here"
    """Where generators run: ``here``, as a process of this machine, or as ``pods`` of the cluster beside the application."""
    workers: Annotated[int, Field(ge=1, le=200)] = 1
    """Generators that share the users among them; more than one needs ``place: pods``."""
    image: Annotated[str, Field(pattern=IMAGE, max_length=500)] | None = None
    """Image for generators in pods: any with Locust as its entry point; null: ``tidegauge.local/locust`` of this version."""

    @model_validator(mode="after")
    def _placed(self) -> Self:
        if self.place == "here" and self.workers > 1:
            raise ValueError(f"{self.workers} workers need place: pods; on this machine one generator sends thousands of requests a second")
        return self

    @model_validator(mode="after")
    def _distinct(self) -> Self:
        if not isinstance(self.journeys, str):
            check_journeys(self.journeys, self.accounts)
        return self


class JourneySet(Strict):
    """A data file of journeys."""

    accounts: Annotated[tuple[Account, ...], Listed] = ()
    """Logins, shared in turn by the virtual users."""
    journeys: Annotated[tuple[Journey, ...], Field(min_length=1, max_length=100, strict=False)]
    """Journeys, chosen by weight."""

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        check_journeys(self.journeys, self.accounts)
        return self


def check_journeys(journeys: tuple[Journey, ...], accounts: tuple[Account, ...]) -> None:
    """
    Refuse journeys that cannot be walked.

    Raises:
        ValueError: Two have one name, or a login is asked for and there is no account.
    """
    names = [journey.name for journey in journeys]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise ValueError(f"journey names must differ: {', '.join(twice)} is given twice")
    if not accounts and (needs := [journey.name for journey in journeys if any(request.login for request in journey.requests)]):
        raise ValueError(f"the journey {needs[0]} logs in, but no accounts are given")
    for journey in journeys:
        known: set[str] = set()
        for request in journey.requests:
            if unknown := sorted(variables(request) - known):
                raise ValueError(
                    f"the journey {journey.name} uses {{{unknown[0]}}} in {request.endpoint}, but no request before it learns that"
                )
            known |= {request.learn.name} if request.learn else set()


def variables(request: Request) -> set[str]:
    """Names of the variables in the path and the body's text values of *request*."""
    texts = [request.path, *(value for value in (request.body or {}).values() if isinstance(value, str))]
    return {name for text in texts for name in VARIABLE.findall(text)}
