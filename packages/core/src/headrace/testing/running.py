"""Runs rules on a subject: one after the other, whatever becomes of the earlier ones."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from headrace.errors import UnsupportedError
from headrace.testing.kit import Kit, NotApplicable, Subject, Violation, described, traced
from headrace.testing.limits import Overdue, within
from headrace.testing.report import Outcome, Report, Status
from headrace.testing.rules import Rule, checked_skips, chosen


def check_backend(
    subject: Subject,
    *,
    rules: Iterable[str] = (),
    skip_rules: Mapping[str, str] | None = None,
    tell: Callable[[Outcome], object] | None = None,
) -> Report:
    """Run the rules and report.

    Args:
        subject: What is tested.
        rules: Ids or areas to run; none: all.
        skip_rules: Why a rule is skipped, by its id.
        tell: Called with each outcome as it comes.

    Raises:
        ParamsError: For an unknown rule, or a skip without a reason.
        UnsupportedError: If something that the rules need is not installed.
    """
    check_installed()
    skips = checked_skips(dict(skip_rules or {}))
    kit = Kit(subject)
    outcomes = []
    try:
        for each in chosen(rules):
            outcome = run_rule(kit, each, skips.get(each.id))
            outcomes.append(outcome)
            if tell is not None:
                tell(outcome)
            if kit.unloadable:
                break
    finally:
        kit.forget_model()
    name = str(getattr(subject.backend, "name", subject.backend))
    return Report(name, subject.model, tuple(outcomes), kit.unloadable or "")


def run_rule(kit: Kit, rule: Rule, skip: str | None = None) -> Outcome:
    """Run one rule, in a thread of its own and within its time limit.

    The first rule that needs the model fails if it cannot be loaded; those after it are skipped.
    """
    if skip is not None:
        return Outcome(rule, Status.SKIPPED, skip)
    if kit.unloadable and not rule.without_model:
        return Outcome(rule, Status.SKIPPED, kit.unloadable)
    kit.notes.clear()
    try:
        return within(
            kit.subject.rule_seconds, lambda: _looked_at(kit, rule), f"the rule {rule.id}"
        )
    except Overdue as error:
        # What hangs may hold the model for ever: the next rule loads one of its own.
        kit.forget_model()
        return Outcome(rule, Status.FAILED, str(error), dict(kit.notes), error.stack)


def _looked_at(kit: Kit, rule: Rule) -> Outcome:
    try:
        if not rule.without_model:
            _have_model(kit)
        unfit = _unfit(kit, rule)
        if unfit is not None:
            return Outcome(rule, Status.NOT_APPLICABLE, unfit)
        rule.check(kit)
    except NotApplicable as error:
        return Outcome(rule, Status.NOT_APPLICABLE, str(error))
    except Exception as error:
        # The next rule shall not suffer from what this one may have left behind.
        kit.forget_model()
        return Outcome(rule, Status.FAILED, described(error), dict(kit.notes), traced(error))
    return Outcome(rule, Status.PASSED, "", dict(kit.notes))


def _have_model(kit: Kit) -> None:
    """Load the shared model; the first time that it cannot be loaded is the last."""
    try:
        _ = kit.model
    except Exception as error:
        kit.unloadable = f"the model {kit.subject.model!r} cannot be loaded: {described(error)}"
        raise Violation(kit.unloadable) from error


def _unfit(kit: Kit, rule: Rule) -> str | None:
    """Why a rule is not for this subject; None if it is."""
    if rule.given is not None and getattr(kit.subject, rule.given) is None:
        return f"no {rule.given} was given"
    if rule.endless and not kit.ignores_eog:
        return "the backend takes no ignore_eog=True"
    if not rule.needs and rule.lacking is None:
        return None
    has = kit.model.capabilities
    missing = sorted(str(each) for each in rule.needs - has)
    if missing:
        return f"the model has no {', '.join(missing)}"
    return f"the model has {rule.lacking}" if rule.lacking in has else None


def check_installed() -> None:
    """Raise unless everything is there that the rules need.

    Raises:
        UnsupportedError: Naming what is missing, and how to install it.
    """
    for module in ("hypothesis", "trio"):
        try:
            __import__(module)
        except ImportError as error:
            raise UnsupportedError(
                f"the conformance kit needs {module}, which is not installed",
                hint="Install it: pip install 'headrace[testing]'",
            ) from error
