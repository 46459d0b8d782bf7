"""``python -m tests.bench.empty_tasks NUMBER``: a Prefect flow of so many empty tasks, and nothing else; prints how many completed."""

import sys

from prefect import flow, task


@task
def nothing(number: int) -> int:
    """Do nothing."""
    return number


@flow
def bare(tasks: int) -> int:
    """Call *tasks* tasks, one after the other."""
    return len([nothing(number) for number in range(tasks)])


if __name__ == "__main__":
    print(bare(int(sys.argv[1])))
