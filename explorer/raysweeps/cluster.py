"""Processes on the nodes of a Ray cluster, seen from the driver: what `Sweeping` gives work to.

The twin of `explorer.executors.Executor`, without visitors. A thread for each process: it asks
Ray for one, has it train run after run, and asks for another if that one is lost.
"""

import contextlib
import threading
from typing import Any

from explorer.home import home
from explorer.raysweeps.connection import Connection
from explorer.raysweeps.member import LostError, MemberOnNode, Overdue, Stop, answer
from explorer.raysweeps.trainee import Trainee
from explorer.store import ACTIVE, Store, StoreError, owner_alive
from explorer.sweeping import RETRIES, Sweeping

APP_ENDED = "the program that ran it ended; Resume goes on from the last checkpoint"
NOT_TRAINED = "it could not be trained to its end"
LINGER = 5.0  # seconds for which a process waits for more to train
NO_NODE = "ray: no node can train ({why})"


class Slot:
    """Room for one run at a time on the cluster, and the thread that fills it."""

    def __init__(self, cluster: "Cluster") -> None:
        self.cluster = cluster
        self.comparison: str | None = None
        self.stop = Stop()
        self.thread = threading.Thread(target=self._serve, daemon=True)

    def _serve(self) -> None:
        actor, node = None, ""
        try:
            while True:
                if actor is None and not self.cluster.wanted(self):
                    return
                actor, node = (actor, node) if actor is not None else self._hired()
                comparison = self.cluster.next(self)
                if comparison is None:
                    return
                if not self._train(actor, node, comparison):
                    self.cluster.fire(actor)
                    actor = None
                self.cluster.let_go(self)
        except Overdue:  # closed, or nothing is left, before there was room
            return
        except RuntimeError as error:
            self.cluster.give_up(NO_NODE.format(why=error))
        finally:
            self.cluster.leave(self)
            if actor is not None:
                self.cluster.fire(actor)

    def _hired(self) -> tuple[Any, str]:
        """A process on some node and the node's name, as soon as there is room for it."""
        for _ in range(1 + RETRIES):
            actor = self.cluster.hire()
            try:
                return actor, self._answered(actor)
            except LostError as error:
                why = str(error)
        raise RuntimeError(why)

    def _answered(self, actor: Any) -> str:
        try:
            return str(answer(self.cluster.ray, actor.hello.remote(), Unwanted(self)))
        except BaseException:
            self.cluster.fire(actor)
            raise

    def _train(self, actor: Any, node: str, comparison: str) -> bool:
        try:
            run = MemberOnNode(self.cluster.store, self.cluster.ray, actor, comparison, self.stop)
        except StoreError:  # deleted meanwhile
            return True
        return run.train(node)


class Unwanted(Stop):
    """Asks for an end of waiting for room once there is nothing to train."""

    def __init__(self, slot: Slot) -> None:
        super().__init__()
        self.slot = slot

    @property
    def overdue(self) -> bool:
        """Whether nothing waits any more."""
        return not self.slot.cluster.wanted(self.slot)


class Cluster:
    """All processes of this driver on a Ray cluster, at most `most` of them at once."""

    def __init__(
        self, store: Store, connection: Connection, most: int, needs: dict[str, float]
    ) -> None:
        self.store = store
        self.connection = connection
        self.ray = connection.ray
        self.most = most
        self.lock = threading.RLock()
        self.changed = threading.Condition(self.lock)  # something waits, or all is over
        self.behind: Sweeping | None = None
        self.slots: list[Slot] = []
        self.closed = False
        self.trouble = ""
        device = "cuda" if needs.get("GPU") else "cpu"
        options = {"num_cpus": needs.get("CPU", 0), "num_gpus": needs.get("GPU", 0)}
        self._kind = self.ray.remote(max_restarts=0, **options)(Trainee)
        self._given = (device, str(home()) if connection.local else None)
        store.mark_orphans(owner_alive)

    def hire(self) -> Any:
        """Ask Ray for one more process."""
        return self._kind.remote(*self._given)

    def fire(self, actor: Any) -> None:
        """End a process, whatever it does."""
        with contextlib.suppress(Exception):  # it is gone, or the whole cluster is
            self.ray.kill(actor)

    @property
    def waiting(self) -> int:
        """How many members wait."""
        return sum(len(members) for members in self.behind.pending.values()) if self.behind else 0

    def wanted(self, slot: Slot) -> bool:
        """Whether there is work for a slot that has none."""
        return not self.closed and slot in self.slots and self.waiting > 0

    def dispatch(self) -> None:
        """See to it that there are slots for the members that wait."""
        with self.lock:
            self.trouble = ""
            idle = sum(slot.comparison is None for slot in self.slots)
            free = 0 if self.closed else min(self.waiting - idle, self.most - len(self.slots))
            for _ in range(free):
                self.slots.append(Slot(self))
                self.slots[-1].thread.start()
            self.changed.notify_all()

    def next(self, slot: Slot) -> str | None:
        """The comparison for a slot to train; the slot is out of use if none comes for a while."""
        with self.changed:
            self.changed.wait_for(lambda: self.closed or self.waiting > 0, LINGER)
            if self.wanted(slot) and self.behind is not None:
                slot.comparison, slot.stop = self.behind.next(), Stop()
            if slot.comparison is None:
                self.leave(slot)
            return slot.comparison

    def let_go(self, slot: Slot) -> None:
        """A run has come to its end, or has been lost: the sweep may try it again."""
        with self.lock:
            comparison, slot.comparison = slot.comparison, None
            if comparison is not None and self.behind is not None:
                with contextlib.suppress(StoreError):
                    self._settle(comparison)
                    self.behind.ended(comparison)
            self.changed.notify_all()

    def _settle(self, comparison: str) -> None:
        """Whoever trained it has said how it ended, if he could."""
        found = self.store.comparison(comparison)
        for run in found.runs if found else ():
            if run.state in ACTIVE:
                self.store.update(run.id, state="failed", message=NOT_TRAINED)

    def leave(self, slot: Slot) -> None:
        """A slot is no longer in use."""
        with self.lock:
            self.let_go(slot)
            if slot in self.slots:
                self.slots.remove(slot)

    def worker_of(self, comparison: str) -> Slot | None:
        """The slot that trains it."""
        with self.lock:
            return next((slot for slot in self.slots if slot.comparison == comparison), None)

    def command(self, comparison: str, do: str) -> bool:
        """Stop it, the only command there is here; False if nobody trains it."""
        slot = self.worker_of(comparison)
        if slot is None or do != "stop":
            return False
        slot.stop.ask("stopped")
        return True

    def give_up(self, trouble: str) -> None:
        """No node is fit: the sweeps are interrupted, and say why."""
        with self.lock:
            self.trouble = trouble
            if self.behind is not None:
                with contextlib.suppress(StoreError):
                    self.behind.close(trouble)

    def close(self) -> None:
        """End all processes; what they trained is kept and can be resumed."""
        with self.lock:
            self.closed = True
            self.changed.notify_all()
            slots = list(self.slots)
            for slot in slots:
                slot.stop.ask("interrupted", APP_ENDED)
        for slot in slots:
            slot.thread.join(5)
        self.connection.close()
