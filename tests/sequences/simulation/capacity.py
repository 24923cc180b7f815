"""The invariants of capacity: how many pods there must and may be, checked at each write that changes a count."""

from modelway import kinds
from simulation.facts import Facts, need


def _change(facts: Facts) -> tuple[int, int] | None:
    """Pods asked for before and after, when the write changed the count of a Deployment."""
    write = facts.write
    if write.kind != kinds.DEPLOYMENT:
        return None
    before = write.before["spec"]["replicas"] if write.before else 0
    after = write.after["spec"]["replicas"] if write.after else 0
    return (before, after) if before != after else None


def _is_over(facts: Facts) -> bool:
    """Whether no traffic is promised: suspended, being deleted, or gone."""
    return facts.count == 0 or "deletionTimestamp" in facts.owner["metadata"]


def drain_before_scale(facts: Facts) -> str:
    """5: pods go only when their traffic has been away, in force at the gateway, for the drain.

    But for the only pod that answers, which ends before another takes its place where there is no room for both.
    """
    change = _change(facts)
    if change is None or change[1] >= change[0] or _is_over(facts) or change[1] > 0:
        return ""
    name, since = facts.write.name, facts.now - facts.drain
    if not facts.ready(name) or not facts.carrying:
        return ""
    if facts.has_gateway and name in facts.reached(since):
        return f"{name} loses its pods less than {facts.drain} after the last rule that led to it"
    if not facts.has_gateway and _is_taken_back(facts, name):
        return ""
    if any(name in selection for selection in facts.selections_after(since)):
        return f"{name} loses its pods less than {facts.drain} after Service {facts.name} left it"
    return ""


def _is_taken_back(facts: Facts, name: str) -> bool:
    """Without a gateway a candidate that lost ends at once: SIGTERM closes the connections that callers keep."""
    service = facts.store.find(kinds.SERVICE, facts.namespace, facts.name)
    is_former_stable = name == facts.rollout.get("from") and facts.stable != name
    if name == facts.stable or is_former_stable:
        return False
    return service is not None and name not in facts.selected(service)


def stable_floor(facts: Facts) -> str:
    """17: no revision is asked for fewer pods than its weight needs, written or in force."""
    change = _change(facts)
    if change is None or change[1] >= change[0] or _is_over(facts):
        return ""
    name, after = facts.write.name, change[1]
    if not facts.has_gateway:
        return _pool_floor(facts, name, after)
    in_force = facts.programmed(facts.now)[-1:]
    weight = max([facts.weights().get(name, 0), *(weights.get(name, 0) for weights in in_force)])
    wanted = need(weight, facts.carrying)
    return "" if after >= wanted else f"{name} scaled to {after} with weight {weight}: {wanted} needed"


def _pool_floor(facts: Facts, name: str, after: int) -> str:
    """Without a gateway all selected pods carry the traffic together."""
    service = facts.store.find(kinds.SERVICE, facts.namespace, facts.name)
    selected = facts.selected(service) if service else frozenset()
    if name not in selected or not facts.ready(name):
        return ""
    others = sum(facts.ready(other) for other in selected - {name})
    if after + others >= facts.carrying:
        return ""
    return f"{name} scaled to {after} beside {others} others: {facts.carrying} needed"


def floor_of_autoscaler(facts: Facts) -> str:
    """17 with autoscaling: the least that an HPA may choose carries the revision's weight."""
    write = facts.write
    if write.kind != kinds.HORIZONTAL_POD_AUTOSCALER or write.after is None or not facts.has_gateway:
        return ""
    weight = facts.weights().get(write.name, 0)
    least = write.after["spec"]["minReplicas"]
    wanted = need(weight, facts.carrying)
    return "" if least >= wanted else f"HPA {write.name} may go to {least} with weight {weight}: {wanted} needed"


def budget(facts: Facts) -> str:
    """18: what is asked for in all stays within N (or stable's size, where that is more) + surge.

    Pods that hold devices count until they have ended.
    """
    change = _change(facts)
    spec = facts.spec
    if change is None or change[1] <= change[0] or spec is None:
        return ""
    counts = {name: facts.occupied(name) for name in facts.revisions()}
    total = sum(counts.values())
    base = facts.rollout.get("baseReplicas", 0)
    limit = max(facts.most, facts.desired(facts.stable), base) + facts.surge
    return "" if total <= limit else f"{counts} are {total} pods of {limit}"


CHECKS = {
    "5 drain before scale": drain_before_scale,
    "17 stable floor": stable_floor,
    "17 floor of the autoscaler": floor_of_autoscaler,
    "18 budget": budget,
}
