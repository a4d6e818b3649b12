"""The words that change with the language: element names, dates, and which language a person gets."""

from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path

import pytest
import yaml

from incidents import letters
from incidents.letters.wording import (
    ELEMENTS,
    SUPPORTED,
    choose_language,
    element_labels,
    long_date,
    long_period,
    neutral_name,
    official_languages,
    wording,
)


@pytest.mark.parametrize("language", sorted(SUPPORTED))
def test_every_element_has_one_name_of_its_own_in_every_language(language: str) -> None:
    labels = wording(language=language).elements
    assert tuple(labels) == ELEMENTS and len(set(labels.values())) == len(ELEMENTS)
    assert all(label and label == label.strip() and label.isprintable() for label in labels.values())


@pytest.mark.parametrize("language", sorted(SUPPORTED))
def test_every_language_refuses_the_same_kinds_of_wording_and_has_a_neutral_name(language: str) -> None:
    assert wording(language=language).phrases.keys() == wording(language="en").phrases.keys()
    assert neutral_name(language=language)


def test_labels_come_in_one_order_whatever_the_order_of_the_elements() -> None:
    elements = ["date_of_birth", "country", "name", "email"]
    expected = ("your name", "your email address", "your country of residence", "your date of birth")
    assert element_labels(elements=elements, language="en") == expected
    assert element_labels(elements=frozenset(elements), language="en") == expected
    assert element_labels(elements=elements, language="ja") == ("お名前", "メールアドレス", "お住まいの国", "生年月日")


def test_an_unknown_element_or_language_is_an_error_not_a_gap() -> None:
    with pytest.raises(KeyError, match="shoe_size"):
        element_labels(elements=["name", "shoe_size"], language="en")
    with pytest.raises(KeyError):
        element_labels(elements=["name"], language="nl")


@pytest.mark.parametrize(
    ("language", "day"),
    [
        ("en", "June 3, 2025"),
        ("en-GB", "3 June 2025"),
        ("fr", "3 juin 2025"),
        ("de", "3. Juni 2025"),
        ("ja", "2025年6月3日"),
        ("it", "3 giugno 2025"),
        ("es", "3 de junio de 2025"),
        ("ko", "2025년 6월 3일"),
        ("tr", "3 Haziran 2025"),
        ("pt", "3 de junho de 2025"),
    ],
)
def test_a_day_is_written_as_the_language_writes_it(language: str, day: str) -> None:
    assert long_date(moment=date(2025, 6, 3), zone="Europe/Paris", language=language) == day


def test_the_first_of_a_month_is_an_ordinal_in_french_and_italian_only() -> None:
    assert long_date(moment=date(2025, 6, 1), zone="UTC", language="fr") == "1er juin 2025"
    assert long_date(moment=date(2025, 6, 11), zone="UTC", language="fr") == "11 juin 2025"
    assert long_date(moment=date(2025, 6, 1), zone="UTC", language="it") == "1º giugno 2025"
    assert long_date(moment=date(2025, 6, 11), zone="UTC", language="it-CH") == "11 giugno 2025"
    assert long_date(moment=date(2025, 6, 1), zone="UTC", language="de") == "1. Juni 2025"
    assert long_date(moment=date(2025, 6, 1), zone="UTC", language="es") == "1 de junio de 2025"


def test_a_moment_falls_on_the_readers_day() -> None:
    moment = datetime(2025, 6, 2, 23, 30, tzinfo=UTC)
    assert long_date(moment=moment, zone="Asia/Tokyo", language="en") == "June 3, 2025"
    assert long_date(moment=moment, zone="America/New_York", language="en") == "June 2, 2025"


def test_a_moment_without_a_zone_has_no_day() -> None:
    with pytest.raises(ValueError):
        long_date(moment=datetime(2025, 6, 2, 23, 30), zone="Asia/Tokyo", language="en")  # noqa: DTZ001


def test_a_period_names_both_days_and_one_day_is_a_day() -> None:
    first, last = date(2025, 5, 30), date(2025, 6, 1)
    assert long_period(start=first, end=last, zone="UTC", language="fr") == "30 mai 2025 – 1er juin 2025"
    assert long_period(start=first, end=last, zone="UTC", language="ja") == "2025年5月30日～2025年6月1日"
    assert long_period(start=first, end=last, zone="UTC", language="ko") == "2025년 5월 30일 ~ 2025년 6월 1일"
    assert long_period(start=first, end=last, zone="UTC", language="it") == "30 maggio 2025 – 1º giugno 2025"
    assert long_period(start=first, end=first, zone="UTC", language="de") == "30. Mai 2025"
    with pytest.raises(ValueError):
        long_period(start=last, end=first, zone="UTC", language="de")


@pytest.mark.parametrize(
    ("wanted", "residence", "language", "rule"),
    [
        ("fr-CA", "US-CA", "fr", "stated"),
        ("fr_FR", "FR", "fr", "stated"),
        ("EN", "FR", "en", "stated"),
        ("", "CH", "de", "official language of CH"),
        ("it", "CH", "it", "stated"),
        ("rm", "CH-TI", "it", "official language of CH-TI"),
        ("", "IT", "it", "official language of IT"),
        ("", "SM", "it", "official language of SM"),
        ("es-US", "US-WA", "es", "stated"),
        ("ca", "ES", "es", "official language of ES"),
        ("", "MX", "es", "official language of MX"),
        ("", "DO", "es", "official language of DO"),
        ("", "US-PR", "es", "official language of US-PR"),
        ("", "PT", "pt", "official language of PT"),
        ("pt-BR", "BR", "pt", "stated"),
        ("", "AO", "pt", "official language of AO"),
        ("", "CH-GE", "fr", "official language of CH-GE"),
        ("nl", "BE", "fr", "official language of BE"),
        ("", "CA-QC", "fr", "official language of CA-QC"),
        ("", "CA-ON", "en", "official language of CA-ON"),
        ("", "JP", "ja", "official language of JP"),
        ("ko", "KR", "ko", "stated"),
        ("", "KR", "ko", "official language of KR"),
        ("en", "KR", "en", "stated"),
        ("tr", "DE", "tr", "stated"),
        ("", "TR", "tr", "official language of TR"),
        ("el", "CY", "en", "English"),
        ("zh-Hant", "MO", "en", "English"),
        ("zh-Hant", "TW", "en", "English"),
        ("", "UNKNOWN", "en", "English"),
    ],
)
def test_the_language_is_the_readers_own_then_an_official_one_then_english(
    wanted: str, residence: str, language: str, rule: str
) -> None:
    choice = choose_language(wanted=wanted, residence=residence, available=SUPPORTED)
    assert (choice.language, choice.wanted, choice.rule) == (language, wanted, rule)


def test_traditional_chinese_is_never_answered_with_simplified() -> None:
    available = frozenset({"en", "zh-Hans"})
    assert choose_language(wanted="zh-Hant-TW", residence="TW", available=available).language == "en"
    assert choose_language(wanted="zh-Hans-SG", residence="SG", available=available).language == "zh-Hans"


def test_a_form_that_exists_in_english_alone_is_english_for_all() -> None:
    choice = choose_language(wanted="ja", residence="US-CA", available=frozenset({"en"}))
    assert (choice.language, choice.rule) == ("en", "official language of US-CA")


def test_without_english_there_is_nothing_to_fall_back_on() -> None:
    with pytest.raises(ValueError):
        choose_language(wanted="ko", residence="KR", available=frozenset({"ja"}))


def test_norway_is_not_read_as_no() -> None:
    assert official_languages(residence="NO") == ("nb",)


REFUSED: dict[str, dict[str, tuple[str, ...]]] = {
    "it": {
        "hedge": ("I Suoi dati potrebbero essere stati consultati.", "I dati possono includere il Suo nome.", "Un possibile accesso."),
        "no_evidence": ("Non abbiamo prove di un uso improprio.", "Non ci risulta alcun abuso.", "Nessun indizio di abuso."),
        "empty_phrase": ("Prendiamo molto sul serio la Sua privacy.", "Lo facciamo in via precauzionale.", "Ci scusiamo per il disagio."),
        "urgency": ("Agisca subito.", "Cambi la password al più presto.", "È urgente.", "Entro 24 ore."),
        "marketing": ("Le offriamo un buono sconto.", "Legga la nostra newsletter."),
        "no_action": ("Non deve fare nulla.", "Non è necessaria alcuna azione.", "Non occorre cambiare la password."),
        "statutory": ("Siamo obbligati per legge a informarLa.", "Ai sensi del GDPR.", "Si veda l’articolo 34."),
    },
    "es": {
        "hedge": ("Sus datos pueden haber sido consultados.", "Los datos podrían incluir su nombre.", "Un posible acceso a sus datos."),
        "no_evidence": ("No hay indicios de uso indebido.", "No tenemos constancia de un abuso.", "Sin evidencia de fraude."),
        "empty_phrase": ("Nos tomamos muy en serio su privacidad.", "Por precaución, le escribimos.", "Lamentamos las molestias."),
        "urgency": ("Cambie su contraseña cuanto antes.", "Actúe de inmediato.", "Es urgente.", "En las próximas 48 horas."),
        "marketing": ("Le ofrecemos un descuento.", "Suscríbase a nuestro boletín."),
        "no_action": ("No es necesario que haga nada.", "No tiene que hacer nada.", "No se requiere ninguna acción."),
        "statutory": ("Estamos obligados por ley.", "Conforme a la ley le informamos.", "Véase el artículo 34 del RGPD."),
    },
    "pt": {
        "hedge": ("Os seus dados podem ter sido consultados.", "Os dados poderão incluir o seu nome.", "Um possível acesso aos dados."),
        "no_evidence": ("Não há indícios de uso indevido.", "Não temos conhecimento de abusos.", "Sem evidência de fraude."),
        "empty_phrase": ("Levamos muito a sério a sua privacidade.", "Por precaução, escrevemos-lhe.", "Lamentamos o incómodo."),
        "urgency": ("Mude a senha o mais rápido possível.", "Aja imediatamente.", "É urgente.", "Nas próximas 24 horas."),
        "marketing": ("Oferecemos-lhe um desconto.", "Receba um cupão."),
        "no_action": ("Não precisa de fazer nada.", "Não é necessário fazer nada.", "Nenhuma ação é necessária."),
        "statutory": ("Somos obrigados por lei.", "Nos termos do RGPD.", "Ver o artigo 34."),
    },
    "tr": {
        "hedge": ("Verileriniz görülmüş olabilir.", "Verileriniz muhtemelen etkilendi.", "Liste adınızı içerebilir."),
        "no_evidence": ("Kötüye kullanıma dair bir kanıt bulunmamaktadır.", "Herhangi bir bulguya rastlanmadı."),
        "empty_phrase": ("Gizliliğinizi ciddiye alıyoruz.", "Tedbir amaçlı yazıyoruz.", "Verdiğimiz rahatsızlıktan dolayı üzgünüz."),
        "urgency": ("Şifrenizi hemen değiştirin.", "ACİL bir durum.", "En kısa sürede arayın.", "24 saat içinde yanıt verin."),
        "marketing": ("Size bir indirim sunuyoruz.", "Hediye çeki kazandınız."),
        "no_action": ("Herhangi bir şey yapmanıza gerek yoktur.", "Şifrenizi değiştirmenize gerek yok."),
        "statutory": ("Yasal yükümlülüğümüz gereği yazıyoruz.", "Kanun gereğince bildiririz.", "KVKK madde 12."),
    },
    "ko": {
        "hedge": ("고객님의 정보가 유출되었을 가능성이 있습니다.", "정보가 유출됐을 수 있습니다.", "유출이 의심됩니다."),
        "no_evidence": ("현재까지 악용된 사례는 확인되지 않았습니다.", "2차 피해는 없는 것으로 보입니다.", "그런 정황은 없습니다."),
        "empty_phrase": ("이번 일을 엄중하게 받아들이고 있습니다.", "만일을 대비해 알려 드립니다.", "불편을 끼쳐 드려 죄송합니다."),
        "urgency": ("즉시 비밀번호를 바꾸십시오.", "긴급한 일입니다.", "24시간 이내에 연락하십시오."),
        "marketing": ("할인 쿠폰을 드립니다.",),
        "no_action": ("별도의 조치는 필요 없습니다.", "아무것도 하지 않으셔도 됩니다.", "고객님께서 하실 일은 없습니다."),
        "statutory": ("법률에 따라 알려 드립니다.", "개인정보 보호법 제34조", "법적 의무입니다."),
    },
}  # fmt: skip
ALARMING = {
    "it": "Cartier: avviso importante",
    "es": "Cartier: aviso importante",
    "pt": "Cartier: alerta",
    "tr": "Cartier: önemli uyarı",
    "ko": "Cartier: 중요 안내",
}


@pytest.mark.parametrize("language", sorted(REFUSED))
def test_each_kind_of_wording_that_misleads_is_refused_in_its_language(language: str) -> None:
    phrases = wording(language=language).phrases
    assert REFUSED[language].keys() == phrases.keys()
    for code, sentences in REFUSED[language].items():
        assert not [text for text in sentences if not any(pattern.search(text) for pattern in phrases[code])]
    assert any(pattern.search(ALARMING[language]) for pattern in wording(language=language).subject_urgency)


@pytest.mark.parametrize(
    ("language", "sentence"),
    [
        ("it", "Il sistema ha subito un attacco, e la data di scadenza della carta è nota."),
        ("it", "Questo può comportare telefonate false, e il Garante può intervenire."),
        ("es", "Esto puede significar llamadas falsas. Puede presentar una reclamación."),
        ("es", "A la atención de Lucía, según nuestros archivos."),
        ("pt", "Isto pode significar chamadas falsas. Pode apresentar uma reclamação."),
        ("pt", "Os saldos da conta não mudaram."),
        ("tr", "Biri size sahte bir mesaj gönderebilir. Kişisel Verileri Koruma Kurumu (KVKK) size yardım eder."),
        ("tr", "Yasal temsilcisiyseniz bu mektubu okuyun."),
        ("ko", "누군가 고객님께 거짓 메시지를 보낼 수 있습니다. 개인정보보호위원회에 민원을 내실 수 있습니다."),
        ("ko", "다음 정보는 이번 일과 관련이 없음을 확인했습니다."),
    ],
)
def test_plain_sentences_are_not_refused(language: str, sentence: str) -> None:
    patterns = [pattern for found in wording(language=language).phrases.values() for pattern in found]
    assert not [pattern.pattern for pattern in patterns if pattern.search(sentence)]


def test_the_places_where_readers_complain_are_worded_in_every_language() -> None:
    entries = yaml.safe_load((Path(letters.__file__).parent / "wording" / "complaints.yaml").read_text("utf-8"))
    for entry in entries.values():
        assert entry["name"].keys() == SUPPORTED
        refused = [(text, code) for language, text in entry["name"].items() for code in _refused(text, language)]
        assert not refused


def _refused(text: str, language: str) -> list[str]:
    found = wording(language=language).phrases.items()
    return [code for code, patterns in found if any(pattern.search(text) for pattern in patterns)]
