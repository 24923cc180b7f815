"""The requests that wait, in groups that may run together. Pure: it runs nothing and sets no timer."""

from collections import OrderedDict, deque
from collections.abc import Hashable

from modelway_runtime.protocol.tensors import Arrays
from modelway_runtime.server.jobs import Job


class Waiting:
    """Groups take turns; within one the oldest go first. Rows are counted, not requests."""

    def __init__(self, max_rows: int) -> None:
        self._max_rows = max_rows
        self._groups: OrderedDict[Hashable, deque[Job]] = OrderedDict()
        self.count = 0

    def __bool__(self) -> bool:
        """Whether any request waits."""
        return bool(self._groups)

    def add(self, key: Hashable, job: Job) -> None:
        """A request at the end of its group."""
        group = self._groups.get(key)
        if group is None:
            self._groups[key] = group = deque()
        group.append(job)
        self.count += 1

    def add_alone_at_front(self, job: Job) -> None:
        """A request that has waited its time already, and runs next and with no other."""
        key = object()
        self.add(key, job)
        self._groups.move_to_end(key, last=False)

    def callers(self) -> int:
        """How many requests of callers wait."""
        return sum(not job.is_shadow for group in self._groups.values() for job in group)

    def is_full(self) -> bool:
        """Whether the group whose turn it is fills a batch; asked only where requests wait for company."""
        return sum(job.rows for job in next(iter(self._groups.values()))) >= self._max_rows

    def oldest(self) -> Job:
        """The oldest request of the group whose turn it is."""
        return next(iter(self._groups.values()))[0]

    def take(self) -> list[Job]:
        """The oldest requests of the group whose turn it is; those that nobody waits for any more are dropped."""
        while self._groups:
            key, group = next(iter(self._groups.items()))
            jobs: list[Job] = []
            rows = 0
            while group and (not jobs or rows + group[0].rows <= self._max_rows):
                job = group.popleft()
                self.count -= 1
                if not job.future.done():
                    jobs.append(job)
                    rows += job.rows
            if group:
                self._groups.move_to_end(key)
            else:
                del self._groups[key]
            if jobs:
                return jobs
        return []

    def take_all(self) -> list[Job]:
        """All that wait."""
        jobs = [job for group in self._groups.values() for job in group]
        self._groups.clear()
        self.count = 0
        return jobs


def grouped(inputs: Arrays) -> tuple[Hashable, int]:
    """What requests must share to run together, and the rows. Scalars and unequal rows stay alone."""
    key: list[Hashable] = []
    rows = -1
    for name, array in inputs.items():
        shape = array.shape
        if not shape or rows not in (-1, shape[0]):
            return object(), 1
        rows = shape[0]
        key += (name, array.dtype, shape[1:])
    return tuple(key), rows
