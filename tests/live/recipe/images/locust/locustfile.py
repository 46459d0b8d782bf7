"""Users of the demo service."""

from __future__ import annotations

from locust import HttpUser, constant_throughput, task


class Visitor(HttpUser):
    """Two requests a second, one in six of which costs CPU."""

    wait_time = constant_throughput(2)

    @task(5)
    def look(self) -> None:
        """A cheap page."""
        self.client.get("/")

    @task(1)
    def work(self) -> None:
        """A dear one."""
        self.client.get("/burn?ms=5", name="/burn")
