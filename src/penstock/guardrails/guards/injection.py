"""Signs of prompt injection: text that speaks to the model to turn it away from its instructions.

Each rule is a sign with a score; the signs of one text are combined as 1 - (1 - a)(1 - b)…, and the guard speaks up at
its threshold. Rules find the plain attempts; they do not understand text, and injection that reads like ordinary text
passes.
"""

from collections.abc import Mapping
from typing import Any, ClassVar

from penstock.guardrails.model import Action, Stage
from penstock.guardrails.options import Options, user_rules
from penstock.guardrails.ports import Rule, Setting
from penstock.guardrails.signs import sign

SIGNS: tuple[Rule, ...] = (
    sign(
        "ignore_instructions",
        0.9,
        r"(?:ignore|disregard|forget|override|bypass|skip|drop)[^.!?\n]{0,40}(?:previous|prior|above"
        r"|earlier|preceding|all|any|your|the|system)[^.!?\n]{0,30}(?:instruction|prompt|rule"
        r"|direction|guideline|guardrail|restriction|command|context|training)",
    ),
    sign(
        "new_instructions",
        0.5,
        r"(?:new|updated|real|actual|true)[ ](?:system[ ])?(?:instructions?|prompt|task|orders?)"
        r"[ ]?(?:are|is|:|follow|begin)",
    ),
    sign(
        "reveal_prompt",
        0.8,
        r"(?:reveal|show|print|repeat|output|display|tell|give|leak|dump|write|share|what(?:'s| is"
        r"| are| was| were))[^.!?\n]{0,40}(?:your|the|above|initial|original|hidden|secret)"
        r"[^.!?\n]{0,20}(?:system[ ]?prompt|initial[ ]prompt|initial[ ]instruction|system[ ]message"
        r"|hidden[ ]instruction|secret[ ]instruction|original[ ]instruction|hidden[ ]prompt)",
    ),
    sign("repeat_above", 0.7, r"repeat[^.!?\n]{0,30}(?:words|text|everything|all)[^.!?\n]{0,20}above"),
    sign(
        "fake_role",
        0.8,
        r"(?:<\|(?:im_start|system|start_header_id|endoftext|eot_id)\|?|\[/?INST\]|<<SYS>>|</?system>"
        r"|\n(?:#{1,4} ?)?(?:system|assistant|developer)(?: message| prompt)?:)",
    ),
    sign(
        "stop_being",
        0.6,
        r"(?:you are (?:no longer|not)|stop being|cease to be)[^.!?\n]{0,30}(?:assistant|ai|model|bot"
        r"|chatgpt|claude|gemini)",
    ),
    sign(
        "exfiltrate",
        0.7,
        r"(?:send|post|forward|exfiltrate|upload|append)[^.!?\n]{0,60}(?:conversation|chat history"
        r"|api key|password|credential|secret)[^.!?\n]{0,40}(?:to|at)[ ](?:https?:|[a-z0-9.-]{3,60}@)",
    ),
    sign(
        "do_not_tell",
        0.5,
        r"(?:do not|don't|never)[ ](?:tell|inform|mention|let)[^.!?\n]{0,20}(?:the )?(?:user|human)"
        r"[^.!?\n]{0,30}(?:this|that|about|know|instruction)",
    ),
    sign(
        "german",
        0.9,
        r"(?:ignorier|vergiss|missacht|übergeh|umgeh)[^.!?\n]{0,50}(?:anweisung|vorgabe|regel"
        r"|instruktion|befehl|systemprompt|prompt)",
    ),
    sign(
        "french",
        0.9,
        r"(?:ignore[zr]?|oublie[zr]?|néglige[zr]?|contourne[zr]?)[^.!?\n]{0,50}(?:instructions?"
        r"|consignes?|règles?|directives?|invite)",
    ),
    sign(
        "spanish",
        0.9,
        r"(?:ignora|olvida|omite|descarta|desobedece)[^.!?\n]{0,50}(?:instrucci|reglas|indicaciones"
        r"|órdenes|directrices)",
    ),
    sign(
        "italian",
        0.9,
        r"(?:ignora|dimentica|trascura|scavalca)[^.!?\n]{0,50}(?:istruzioni|regole|direttive"
        r"|indicazioni)",
    ),
    sign(
        "portuguese",
        0.9,
        r"(?:ignore|esqueça|desconsidere|desobedeça)[^.!?\n]{0,50}(?:instruç|regras|diretrizes|ordens)",
    ),
    sign(
        "polish",
        0.9,
        r"(?:zignoruj|ignoruj|zapomnij|pomiń|odrzuć)[^.!?\n]{0,50}(?:instrukc|polece|zasad|reguł"
        r"|wytyczn)",
    ),
    sign(
        "dutch",
        0.9,
        r"(?:negeer|vergeet|omzeil)[^.!?\n]{0,50}(?:instructie|regels|opdracht|richtlijn)",
    ),
    sign(
        "russian",
        0.9,
        r"(?:игнорируй|проигнорируй|забудь|отбрось)[^.!?\n]{0,50}(?:инструкц|правил|указани|команд)",
    ),
    sign("chinese", 0.9, r"(?:忽略|无视|忘记|忘掉)[^。！？\n]{0,20}(?:指令|提示|规则|指示|要求|设定)"),
    sign("japanese", 0.9, r"(?:指示|命令|ルール|プロンプト)[^。！？\n]{0,12}(?:無視|忘れ)"),
)


class InjectionGuard:
    """Options: `threshold` (0.8), `roles` (user and tool), `patterns` (own signs, each scoring 1)."""

    stages: ClassVar = (Stage.INPUT, Stage.OUTPUT, Stage.BOTH)
    actions: ClassVar = (Action.BLOCK, Action.FLAG)

    def __init__(self, options: Mapping[str, Any], setting: Setting) -> None:  # noqa: ARG002 - what every plug-in gets
        given = Options("injection", options)
        self.threshold = given.number("threshold", 0.8, least=0.05, most=1)
        self.roles = frozenset(given.texts("roles", ("user", "tool")))
        own = given.texts("patterns")
        given.done()
        self.rules = SIGNS + user_rules(own)
