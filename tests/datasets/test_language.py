import pytest

from penstock.datasets.language import FUNCTION_WORDS, detect, languages
from penstock.datasets.quality import Bounds, complaint

SENTENCES = {
    "en": [
        "I was charged twice for my subscription, please refund one of the payments.",
        "The app crashes when I open the settings page.",
        "Hello, my parcel has not arrived yet. Order 20391.",
        "How do I reset the password of my account?",
        "Printer on the second floor is jammed again",
    ],
    "de": [
        "Guten Tag, meine Rechnung ist falsch und ich bekomme keine Antwort.",
        "Die App stürzt ab, wenn ich die Einstellungen öffne.",
        "Seit gestern kann ich mich nicht mehr anmelden.",
    ],
    "fr": [
        "Bonjour, je n'arrive pas à me connecter depuis hier.",
        "La facture du mois dernier est incorrecte.",
        "Mon colis n'est toujours pas arrivé, merci de vérifier.",
    ],
    "es": [
        "Hola, no puedo acceder a mi cuenta desde ayer.",
        "La aplicación se cierra cuando abro los ajustes.",
        "Me han cobrado dos veces la misma factura.",
    ],
    "it": ["Buongiorno, non riesco ad accedere al mio account.", "La fattura del mese scorso è sbagliata."],
    "pt": [
        "Olá, não consigo entrar na minha conta desde ontem.",
        "O aplicativo fecha quando abro as configurações.",
    ],
    "nl": [
        "Hallo, ik kan sinds gisteren niet meer inloggen op mijn account.",
        "De factuur van vorige maand klopt niet.",
    ],
    "pl": ["Dzień dobry, nie mogę się zalogować na konto.", "Moja paczka jeszcze nie dotarła."],
    "sv": ["Hej, jag kan inte logga in på mitt konto sedan igår."],
    "tr": ["Merhaba, hesabıma giriş yapamıyorum, lütfen yardım edin."],
    "ru": ["Здравствуйте, принтер не работает."],
    "uk": ["Добрий день, мій принтер не працює і я не можу друкувати."],
    "ja": ["プリンターが動きません。修理をお願いします。"],
    "zh": ["我的打印机坏了，请派人来修理。"],
    "ko": ["프린터가 작동하지 않습니다."],
    "ar": ["الطابعة لا تعمل منذ أمس."],
    "el": ["Ο εκτυπωτής δεν λειτουργεί."],
}


@pytest.mark.parametrize(
    ("code", "text"), [(code, text) for code, texts in SENTENCES.items() for text in texts]
)
def test_sentences(code: str, text: str) -> None:
    assert detect(text).code == code


@pytest.mark.parametrize("text", ["", "12345", "Reset password", "!?", "OK"])
def test_too_little_to_tell(text: str) -> None:
    assert detect(text).code == "und"


def test_an_english_text_with_a_foreign_name_stays_english() -> None:
    assert detect("I am writing on behalf of Señor Müller from São Paulo about the café order.").code == "en"


def test_every_language_is_known_and_has_its_own_words() -> None:
    assert set(FUNCTION_WORDS) < set(languages())
    assert {code: detect(words).code for code, words in FUNCTION_WORDS.items()} == {
        code: code for code in FUNCTION_WORDS
    }


@pytest.mark.parametrize(
    ("text", "bounds", "reason"),
    [
        ("  a ", Bounds(min_characters=2), "too_short"),
        ("abc", Bounds(max_characters=2), "too_long"),
        ("one two", Bounds(min_words=3), "too_few_words"),
        ("##### ---- a", Bounds(max_symbol_share=0.5), "mostly_symbols"),
        ("buy " * 20, Bounds(max_repeated_share=0.5), "repetitive"),
        ("a perfectly fine sentence", Bounds(min_words=3, max_symbol_share=0.5), None),
    ],
)
def test_quality(text: str, bounds: Bounds, reason: str | None) -> None:
    assert complaint(text, bounds) == reason
