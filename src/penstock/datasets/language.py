"""Which language a text is in: the script, then function words and telling letters. No model, no dependency.

Meant for keeping or dropping whole documents; texts of a few words without a function word come out as
`und` (undetermined, ISO 639-2) rather than as a guess.
"""

import re
from collections import Counter, defaultdict
from dataclasses import dataclass
from functools import cache

UNDETERMINED = "und"

FUNCTION_WORDS: dict[str, str] = {
    "en": "the and of to in is that it for was with as his on be at by this had not are but from or have an they"
    " which one you were all her she there would their we him been has when who will more no if out so what up its"
    " about into than them can only other time new some could these two may then do first any my now such like our"
    " over me even most made after also did many must before back see through where get how your i'm don't can't"
    " please does why because cannot need since again still just yesterday thanks hello should us am off want",
    "de": "der die und in den von zu das mit sich des auf für ist im dem nicht ein eine als auch es an werden aus er"
    " hat dass sie nach wird bei einer um am sind noch wie einem über einen so zum war haben nur oder aber vor zur"
    " bis mehr durch man sein wurde sei ich wir ihr uns mir mich bitte danke kann können habe keine kein wenn meine"
    " mein ihre ihren warum seit wieder nichts hallo guten tag immer schon jetzt bekomme möchte unser unsere diese",
    "fr": "le la les de des du et à en un une que qui dans pour pas au sur ne se ce il est son avec plus par je nous"
    " vous mais ou si leur on y dont cette ces sont été être avoir fait comme tout sans aux mon ma mes votre vos"
    " notre bonjour merci depuis quand très elle ils elles n'est j'ai c'est d'un d'une l'application lors peux"
    " pouvez puis cela toujours encore aucun aucune veuillez suis ai a reçu mot",
    "es": "el la los las de que y en un una por con no para es se lo su al como más pero sus le ya o este sí porque"
    " esta entre cuando muy sin sobre también me hasta hay donde quien desde todo nos durante todos uno les ni"
    " contra otros ese eso mi mis tengo puedo hola gracias está están he ha han favor desde hace cuenta nuestro"
    " usted ustedes ayer ahora necesito quiero siempre nada dos veces misma mismo del al fue son cómo qué pedido",
    "it": "il lo la i gli le di che e in un una per non con del della dei delle si da al come anche più ma sono"
    " questo questa nel alla dal ho ha hanno mi ci vi suo sua loro quando dove perché grazie buongiorno essere"
    " stato mio mia miei vostro nostro può posso molto già ancora dopo prima salve ieri sempre c'è è",
    "pt": "o a os as de que e do da em um uma para com não por mais dos das no na se como mas ao ele seu sua ou ser"
    " quando muito há nos já está eu também só pelo pela até isso ela entre era depois sem mesmo aos ter seus"
    " quem nas me esse eles você tinha foram essa num nem suas meu às minha têm numa olá obrigado obrigada estou"
    " consigo ontem fazer minhas nosso vocês",
    "nl": "de het een en van in is dat op te zijn met voor niet die aan er om ook als dan maar bij nog uit kan ik je"
    " we wij heb heeft had wordt naar deze dit mijn door over geen meer wat worden zou hij zij u uw onze kunnen"
    " graag bedankt hallo sinds waarom wanneer kunt krijg weer goedemorgen gisteren moet wil",
    "pl": "i w nie na się z do to że jest jak co po o za od tak ale czy dla już tylko jego być może przez ze są przed"
    " mnie mi ma nas było też jestem mam proszę dziękuję kiedy dlaczego który która które moje mój moja mojego"
    " nasz jeszcze dzień dobry można bardzo u oraz nadal wczoraj chcę",
    "sv": "och i att det som en på är av för med den till inte om ett han men var jag sig från vi så kan när år hade"
    " hon nu mot vid har eller även efter skulle finns min mitt mina inga tack hej detta varför sedan också får",
    "tr": "ve bir bu da de için ile çok daha olarak gibi ben sen biz var yok ne kadar sonra ama değil olan her şey"
    " en lütfen merhaba teşekkürler neden nasıl benim hesabıma mi mı ki o",
}
"""Frequent function words by language (ISO 639-1)."""

_LETTERS = {
    "de": "äöüß", "fr": "éèêàçùœ", "es": "ñ¿¡áíóú", "it": "àèìòù", "pt": "ãõçâê", "pl": "ąćęłńśźż", "sv": "åäö",
    "tr": "ğışİ",
}  # fmt: skip

_SCRIPTS = re.compile(
    r"(?P<ru>[\u0400-\u04ff])|(?P<el>[\u0370-\u03ff\u1f00-\u1fff])|(?P<ar>[\u0600-\u06ff])|(?P<he>[\u0590-\u05ff])"
    r"|(?P<ja>[\u3040-\u30ff])|(?P<zh>[\u4e00-\u9fff])|(?P<ko>[\uac00-\ud7af])|(?P<hi>[\u0900-\u097f])"
    r"|(?P<th>[\u0e00-\u0e7f])"
)
_NON_LATIN = re.compile(r"[\u0370-\u1fff\u3040-\ud7af]")
_WORDS = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)?")
_MAX_CHARACTERS = 2000
_UKRAINIAN = re.compile("[іїєґ]")


@dataclass(frozen=True, slots=True)
class Language:
    """What a text is written in."""

    code: str
    """ISO 639-1, or `und`."""
    confidence: float
    """0 to 1: how far the best language is ahead of the next."""


@cache
def _weights() -> dict[str, tuple[tuple[str, float], ...]]:
    """Return word → (language, weight); a word that several languages share tells less."""
    owners: dict[str, list[str]] = {}
    for code, words in FUNCTION_WORDS.items():
        for word in dict.fromkeys(words.split()):
            owners.setdefault(word, []).append(code)
    return {word: tuple((code, 1 / len(codes)) for code in codes) for word, codes in owners.items()}


def languages() -> list[str]:
    """Return the codes that `detect` can give, without `und`."""
    return sorted({*FUNCTION_WORDS, *_SCRIPTS.groupindex, "uk"})


def detect(text: str) -> Language:
    """Return the language of `text`, judged by its first 2,000 characters."""
    sample = text[:_MAX_CHARACTERS].lower()
    if not sample.isascii() and _NON_LATIN.search(sample):
        by_script = _script(sample)
        if by_script is not None:
            return by_script
    words = _WORDS.findall(sample)
    if not words:
        return Language(UNDETERMINED, 0.0)
    scores = _scores(words, sample)
    if not scores:
        return Language(UNDETERMINED, 0.0)
    ranked = sorted(scores.items(), key=lambda item: (-item[1], item[0]))[:2]
    best, score = ranked[0]
    second = ranked[1][1] if len(ranked) > 1 else 0.0
    # One shared little word ("in", "de") is no evidence.
    if score < 0.9 or score == second:
        return Language(UNDETERMINED, 0.0)
    return Language(best, round((score - second) / score, 3))


def _scores(words: list[str], sample: str) -> dict[str, float]:
    weights = _weights()
    scores: dict[str, float] = defaultdict(float)
    for word in words:
        for code, weight in weights.get(word, ()):
            scores[code] += weight
    if not sample.isascii():
        for code, letters in _LETTERS.items():
            hits = sum(sample.count(letter) for letter in letters)
            if hits:
                scores[code] += min(0.25 * hits, 0.3 * len(words) ** 0.5 + 0.5)
    return scores


def _script(sample: str) -> Language | None:
    """Return the language of a text mostly in a script of its own; None for Latin script."""
    counts: Counter[str] = Counter(str(match.lastgroup) for match in _SCRIPTS.finditer(sample))
    letters = sum(map(str.isalpha, sample))
    if not counts or counts.total() < 0.3 * letters:
        return None
    code = counts.most_common(1)[0][0]
    if code == "zh" and counts["ja"] > 0.1 * counts["zh"]:
        code = "ja"
    if code == "ru" and _UKRAINIAN.search(sample):
        code = "uk"
    return Language(code, round(counts[code] / counts.total(), 3))
