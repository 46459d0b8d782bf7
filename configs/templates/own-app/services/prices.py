"""The service behind it: GET /price works a moment and answers with a number."""

from measured import Reply, serve


def price() -> Reply:
    """A price that costs a little processor time."""
    return 200, str(sum(number * number for number in range(20_000)) % 997)


if __name__ == "__main__":
    serve({"/price": price})
