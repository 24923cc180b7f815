"""The invariants of traffic: where requests may go, checked at each write of the route and the Service."""

from modelway import kinds, names
from modelway.kinds import Manifest
from simulation import rules
from simulation.facts import Facts, need


def _is_route(facts: Facts) -> bool:
    write = facts.write
    return write.kind == kinds.HTTP_ROUTE and write.name == facts.name and write.after is not None


def no_weight_on_emptiness(facts: Facts) -> str:
    """1: a route write gives no weight to a revision without a ready pod, unless it leaves the shares alone.

    Where somebody has written nothing but zeros, all for stable (or the first one) is as good as any other division.
    """
    if not _is_route(facts):
        return ""
    weights, before = facts.weights(facts.write.after), _before(facts)
    empty = [name for name, weight in weights.items() if weight and not facts.ready(name)]
    is_repair = not before and weights == {facts.stable or facts.rollout.get("revision"): 100}
    if not empty or weights == before or is_repair:
        return ""
    return f"weight on {empty} without a ready pod: {before} -> {weights}"


def _is_preview(facts: Facts) -> bool:
    write = facts.write
    return write.kind == kinds.HTTP_ROUTE and write.name == names.preview(facts.name) and write.after is not None


def weights_are_valid(facts: Facts) -> str:
    """2: each rule's weights are whole, add up to 100, and name Services that exist."""
    if not (_is_route(facts) or _is_preview(facts)) or facts.write.after is None:
        return ""
    for rule in facts.write.after["spec"].get("rules") or ():
        shares = {item["name"]: item["weight"] for item in rule.get("backendRefs") or ()}
        if shares and sum(shares.values()) != 100:
            return f"weights do not add up to 100: {shares}"
        if 0 in shares.values():
            return f"a session would hold its client to what has no weight: {shares}"
        missing = [name for name in shares if not facts.has_service(name)]
        if missing:
            return f"the route names Services that do not exist: {missing}"
    return _shares_agree(facts, facts.write.after)


def _shares_agree(facts: Facts, route: Manifest) -> str:
    """Every rule without headers divides alike; but who does not speak gRPC gets none of it, and nobody gets more."""
    wanted = rules.weights(route)
    for rule in route["spec"].get("rules") or ():
        shares = {item["name"]: item["weight"] for item in rule.get("backendRefs") or ()}
        if rules.asks_for_headers(rule) or shares == wanted:
            continue
        candidate = facts.rollout.get("revision")
        if not shares.keys() < wanted.keys() or candidate in shares:
            return f"the rules divide differently: {shares} beside {wanted}"
    return ""


def special_rules_lead_to_a_ready_candidate(facts: Facts) -> str:
    """13: requests with certain headers, and those of a preview, go only to a candidate that can answer them."""
    after, rollout = facts.write.after, facts.rollout
    led = (
        rules.matched(after)
        if _is_route(facts)
        else set(rules.weights(after)) | rules.matched(after)
        if _is_preview(facts)
        else set()
    )
    is_on_its_way = "finishedAt" not in rollout and not rollout.get("outcome")
    for name in led:
        if name != rollout.get("revision") or not is_on_its_way:
            return f"{name} is led to by a rule, and is no candidate"
        if not facts.ready(name):
            return f"{name} is led to by a rule, and has no ready pod"
    return ""


def switched_at_once(facts: Facts) -> str:
    """3: a BlueGreen candidate has nothing or everything, as long as stable has all of its pods."""
    candidate = facts.rollout.get("revision", "")
    is_whole = facts.seen_ready(facts.stable) >= facts.count if facts.stable else False
    if not _is_route(facts) or facts.strategy != "BlueGreen" or not is_whole or candidate == facts.stable:
        return ""
    weight = facts.weights(facts.write.after).get(candidate, 0)
    return "" if weight in (0, 100) or "finishedAt" in facts.rollout else f"{candidate} was given {weight} of 100"


def never_above_the_step(facts: Facts) -> str:
    """3: no write raises a revision that is not stable above what the rollout's steps have granted."""
    if not _is_route(facts):
        return ""
    before = _before(facts)
    for name, weight in facts.weights(facts.write.after).items():
        if name == facts.stable or weight <= before.get(name, 0):
            continue
        limit = granted(facts, name)
        if weight > limit and (not facts.stable or facts.seen_ready(facts.stable)):
            return f"{name} raised to {weight} where {limit} is granted at step {facts.rollout.get('stepIndex')}"
    return ""


def granted(facts: Facts, name: str) -> int:
    """The weight that a revision may have by the stored rollout and the steps that it began with."""
    rollout = facts.rollout
    if rollout.get("revision") != name:
        return 0
    if rollout.get("outcome"):
        return 100 if rollout["outcome"] in ("Promoted", "FastPromoted") else 0
    if rollout.get("strategy") in ("Initial", "Return"):
        return 100
    if facts.strategy == "Rolling":
        return 100 if not facts.has_gateway else 100 * facts.ready(name) // max(facts.carrying, 1)
    steps = [{"weight": 0}] if facts.strategy == "BlueGreen" else facts.plan.get("steps") or []
    index = rollout.get("stepIndex", 0)
    if index >= len(steps):
        return 100
    return max(step.get("weight", 0) for step in steps[: index + 1])


def raise_only_with_capacity(facts: Facts) -> str:
    """4: a raised weight has its pods ready, unless nothing is stable or those that it is taken from lack theirs.

    What a superseded revision had goes back to stable at once (37), whatever stable has; and what somebody else wrote
    is put right without regard to it (10).
    """
    if not _is_route(facts) or _is_foreign(facts):
        return ""
    before, after = _before(facts), facts.weights(facts.write.after)
    donors = [name for name, weight in before.items() if weight > after.get(name, 0)]
    is_first = not any(before.values()) or not facts.stable
    is_superseded = bool(set(donors) - {facts.stable, facts.rollout.get("revision")})
    forced = (
        is_first or is_superseded or any(facts.seen_ready(name) < need(before[name], facts.carrying) for name in donors)
    )
    for name, weight in after.items():
        wanted = need(weight, facts.carrying)
        if weight > before.get(name, 0) and facts.ready(name) < wanted and not forced:
            return f"{name} raised {before.get(name, 0)} -> {weight} with {facts.ready(name)} of {wanted} pods"
    return ""


def no_repointing(facts: Facts) -> str:
    """7: a revision's Service keeps its selector for ever."""
    write = facts.write
    if write.kind != kinds.SERVICE or write.before is None or write.after is None or write.name == facts.name:
        return ""
    before, after = write.before["spec"].get("selector"), write.after["spec"].get("selector")
    return "" if before == after else f"selector of {write.name} changed: {before} -> {after}"


def union_then_subset(facts: Facts) -> str:
    """7b: the model's Service changes by union, then subset, and widens only to the two of the rollout."""
    write = facts.write
    if write.kind != kinds.SERVICE or write.name != facts.name or write.before is None or write.after is None:
        return ""
    before, after = facts.selected(write.before), facts.selected(write.after)
    lost, won = before - after, after - before
    if won and any(facts.seen_ready(name) for name in lost):
        return f"selection jumped from {sorted(before)} to {sorted(after)}"
    third = [name for name in won - {facts.stable, facts.rollout.get("revision")} if facts.pods(name)]
    return f"widened over pods of {third}" if third else ""


def share_within_ceiling(facts: Facts) -> str:
    """3 without a gateway: no write brings the candidate's share of the ready pods above its weight."""
    spec, write = facts.spec, facts.write
    candidate = facts.rollout.get("revision", "")
    coarse = facts.plan.get("coarseWeights", "Refuse") == "Allow"
    if spec is None or facts.has_gateway or coarse or facts.strategy != "Canary" or candidate == facts.stable:
        return ""
    service = facts.store.find(kinds.SERVICE, facts.namespace, facts.name)
    if not facts.stable or not service or candidate not in facts.selected(service):
        return ""
    was_alone = write.kind == kinds.SERVICE and write.before and facts.selected(write.before) == {candidate}
    if was_alone:
        return ""
    if write.kind == kinds.SERVICE and write.name == facts.name and facts.stable in facts.selected(service):
        pods, rest = facts.ready(candidate), facts.ready(facts.stable)
    elif write.verb == "scale" and write.name == candidate and _rises(facts):
        pods, rest = facts.desired(candidate), facts.ready(facts.stable)
    else:
        return ""
    limit = granted(facts, candidate)
    if rest and 100 * pods > limit * (pods + rest):
        return f"{pods} candidate pods beside {rest} are more than {limit} %"
    return ""


def _rises(facts: Facts) -> bool:
    before, after = facts.write.before, facts.write.after
    return bool(before and after and after["spec"]["replicas"] > before["spec"]["replicas"])


def service_selects_ready_pods(facts: Facts) -> str:
    """No write makes the model's Service select nothing while stable has ready pods."""
    if facts.write.kind not in (kinds.SERVICE, kinds.DEPLOYMENT):
        return ""
    service = facts.store.find(kinds.SERVICE, facts.namespace, names.service(facts.name))
    if not service or not facts.stable or not facts.really_ready(facts.stable):
        return ""
    if any(facts.really_ready(name) for name in facts.selected(service)):
        return ""
    return f"Service {facts.name} selects no ready pod while {facts.stable} has some"


def _is_foreign(facts: Facts) -> bool:
    """Whether the weights before the write cannot be ours."""
    before = facts.weights(facts.write.before) if facts.write.before else {}
    return bool(before) and sum(before.values()) != 100


def _before(facts: Facts) -> dict[str, int]:
    """Percent by revision before the write, also where somebody had written weights that do not add up to 100."""
    weights = facts.weights(facts.write.before) if facts.write.before else {}
    total = sum(weights.values())
    return {name: 100 * weight // total for name, weight in weights.items()} if total else {}


def no_caller_is_marked(facts: Facts) -> str:
    """57: no rule lets a request through with the mark that takes it out of the evidence."""
    if not (_is_route(facts) or _is_preview(facts)) or facts.write.after is None:
        return ""
    marked = [
        rule.get("name", "a rule")
        for rule in facts.write.after["spec"].get("rules") or ()
        if rules.passed(rule, {names.SHADOW_HEADER: "1"})
    ]
    return f"the mark of a comparator passes {marked}" if marked else ""


def paths_are_answered(facts: Facts) -> str:
    """16: who gets the requests for a model's name answers to it."""
    if not (_is_route(facts) or _is_preview(facts)) or facts.write.after is None:
        return ""
    for rule in facts.write.after["spec"].get("rules") or ():
        paths = [(match.get("path") or {}).get("value", "/") for match in rule.get("matches") or ()]
        asked = {path.removeprefix(_MODEL_PATH) for path in paths if path.startswith(_MODEL_PATH)}
        for item in rule.get("backendRefs") or () if asked else ():
            revision = facts.store.find(kinds.CONTROLLER_REVISION, facts.namespace, item["name"])
            name = revision["data"]["source"]["model"].get("name", facts.name) if revision else ""
            if asked != {name}:
                return f"{item['name']} answers to {name!r} and is asked for {sorted(asked)}"
    return ""


_MODEL_PATH = "/v2/models/"


def rules_keep_their_places(facts: Facts) -> str:
    """16: what falls under a rule finds its backends, also where a gateway learns of them by their place, and first.

    A rule rests first in its place, leads on there, and rests again; it goes when the gateway has long known that
    nobody falls under it.
    """
    before, after = facts.write.before, facts.write.after
    if not _is_route(facts) or before is None or after is None:
        return ""
    old, new = (item["spec"].get("rules") or () for item in (before, after))
    for place, rule in enumerate(old):
        was, now = rules.purpose(rule), new[place] if place < len(new) else None
        is_kept = (now is not None and rules.purpose(now) in (was, "")) or _is_mended(rule, now)
        if was and not is_kept:
            return f"the rule for {was} requests in place {place} is {now and now.get('name')} now"
        if not was and now is None and facts.rollout.get("revision") in rules.reached(before):
            return f"the rule that rests in place {place} goes while a candidate has traffic"
    for place, rule in enumerate(new[len(old) :] if old else ()):
        if rules.purpose(rule) and rule.get("name") != "rest":
            return f"the rule for {rules.purpose(rule)} requests leads in place {len(old) + place}, which is new"
    return ""


def _is_mended(rule: Manifest, now: Manifest | None) -> bool:
    """Whether somebody had changed what falls under the rule, and it is as it was again."""
    return now is not None and "name" in rule and rule["name"] == now.get("name")


CHECKS = {
    "16 rules keep their places": rules_keep_their_places,
    "16 paths are answered": paths_are_answered,
    "57 no caller is marked": no_caller_is_marked,
    "13 special rules": special_rules_lead_to_a_ready_candidate,
    "3 switched at once": switched_at_once,
    "1 no weight on emptiness": no_weight_on_emptiness,
    "2 weights valid": weights_are_valid,
    "3 never above the step": never_above_the_step,
    "3 share within the ceiling": share_within_ceiling,
    "4 raise only with capacity": raise_only_with_capacity,
    "7 no re-pointing": no_repointing,
    "7b union, then subset": union_then_subset,
    "Service selects ready pods": service_selects_ready_pods,
}
