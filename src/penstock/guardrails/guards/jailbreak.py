"""Signs of jailbreaks: role plays and framings that ask the model to drop its limits. Scored like injection."""

from collections.abc import Mapping
from typing import Any, ClassVar

from penstock.guardrails.model import Action, Stage
from penstock.guardrails.options import Options, user_rules
from penstock.guardrails.ports import Rule, Setting
from penstock.guardrails.signs import sign

SIGNS: tuple[Rule, ...] = (
    sign(
        "dan",
        0.9,
        r"(?:do anything now|\bDAN mode|you are (?:now )?DAN\b|act as DAN\b|as DAN,"
        r"|\bSTAN\b.{0,20}strive to avoid norms)",
    ),
    sign(
        "developer_mode",
        0.85,
        r"(?:developer|debug|god|sudo|jailbreak|unrestricted|maintenance)"
        r"[ -]mode[^.!?\n]{0,30}(?:enabled|on\b|activated|output|unlocked)",
    ),
    sign(
        "no_limits",
        0.6,
        r"(?:without|no|free (?:of|from)|ignoring|not bound by|freed from)"
        r"[^.!?\n]{0,30}(?:restrictions|limitations|filters|censorship|guidelines|ethic|moral"
        r"|content polic|openai polic)",
    ),
    sign(
        "act_as_unfiltered",
        0.7,
        r"(?:act as|pretend|roleplay|role-play|simulate|you are going to|imagine you)"
        r"[^!?\n]{0,120}(?:unfiltered|uncensored|amoral|unethical|no (?:rules|limits|restrictions)"
        r"|evil|without (?:any )?(?:rules|restrictions|filter))",
    ),
    sign(
        "never_refuse",
        0.6,
        r"(?:never|must not|cannot|can't|don't|do not)[ ](?:say no|refuse|decline|reject|apologi[sz]e"
        r"|warn)[^.!?\n]{0,50}(?:request|question|answer|prompt|any|me\b|user)",
    ),
    sign(
        "two_answers",
        0.7,
        r"(?:two (?:different )?(?:responses|answers)|🔓|\[jailbreak\]|\(jailbreak|🔒classic)",
    ),
    sign(
        "stay_in_character",
        0.5,
        r"(?:stay in character|remain in character|break(?:ing)? character|stay a dan"
        r"|token system.{0,60}(?:lose|deduct))",
    ),
    sign(
        "hypothetical",
        0.4,
        r"(?:hypothetical(?:ly)?|fictional|in a novel|for a movie|purely academic)"
        r"[^!?\n]{0,120}(?:bomb|malware|weapon|meth\b|ransomware|poison|explosive)",
    ),
    sign(
        "grandma",
        0.6,
        r"(?:grandm|grandfather|deceased)[^!?\n]{0,120}(?:napalm|bomb|windows .{0,8}keys?"
        r"|activation keys?|recipe for meth)",
    ),
    sign(
        "encoded",
        0.5,
        r"(?:decode|decrypt|rot13|base64)[^.!?\n]{0,60}(?:and (?:then )?(?:follow|execute|answer|obey"
        r"|do))",
    ),
    sign(
        "policy_void",
        0.7,
        r"(?:openai|anthropic|google|content)[^.!?\n]{0,30}(?:polic(?:y|ies)|guidelines)"
        r"[^.!?\n]{0,40}(?:no longer|don't|do not|doesn't|does not) apply",
    ),
)


class JailbreakGuard:
    """Options: `threshold` (0.8), `roles` (user and tool), `patterns` (own signs, each scoring 1)."""

    stages: ClassVar = (Stage.INPUT, Stage.OUTPUT, Stage.BOTH)
    actions: ClassVar = (Action.BLOCK, Action.FLAG)

    def __init__(self, options: Mapping[str, Any], setting: Setting) -> None:  # noqa: ARG002 - what every plug-in gets
        given = Options("jailbreak", options)
        self.threshold = given.number("threshold", 0.8, least=0.05, most=1)
        self.roles = frozenset(given.texts("roles", ("user", "tool")))
        own = given.texts("patterns")
        given.done()
        self.rules = SIGNS + user_rules(own)
