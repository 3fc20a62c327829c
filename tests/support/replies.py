"""Answers as mail programs write them, in 27 languages: each is one text with a mail quoted below.

They were written by hand in the forms that these programs use; names and addresses are made up.
"""

# ruff: noqa: E501  (lines of mails are as long as programs make them)

from collections.abc import Iterator
from dataclasses import dataclass

NAME = "Marie Martin"
ADDRESS = "marie.martin@example.org"
#: A mail that is answered, and the answer.
OLD = ("Quand passe-t-il ?", "Room 4, 10:15")
NEW = "The lift works again.\nCode 4711: 12,50 EUR"
N = f"{NAME} <{ADDRESS}>"


@dataclass(frozen=True, kw_only=True)
class Replies:
    """One language's attributions and labels, by program."""

    gmail: str
    apple: str
    thunderbird: str
    yahoo: str
    #: From, Sent, To and Subject, and the date as Outlook writes it.
    outlook: tuple[str, str, str, str, str]
    telephone: str


LANGUAGES = {
    "en": Replies(
        gmail=f"On Mon, Jan 5, 2026 at 9:58 AM {N} wrote:",
        apple=f"On 5 Jan 2026, at 09:58, {N} wrote:",
        thunderbird=f"On 05/01/2026 09:58, {NAME} wrote:",
        yahoo=f"On Monday, January 5, 2026 at 09:58:00 AM GMT+1, {N} wrote:",
        outlook=("From", "Sent", "To", "Subject", "Monday, January 5, 2026 9:58 AM"),
        telephone="Sent from my iPhone",
    ),
    "fr": Replies(
        gmail=f"Le lun. 5 janv. 2026 à 09:58, {N} a écrit :",
        apple=f"Le 5 janv. 2026 à 09:58, {N} a écrit :",
        thunderbird=f"Le 05/01/2026 à 09:58, {NAME} a écrit :",
        yahoo=f"Le lundi 5 janvier 2026 à 09:58:00 UTC+1, {N} a écrit :",
        outlook=("De", "Envoyé", "À", "Objet", "lundi 5 janvier 2026 09:58"),
        telephone="Envoyé de mon iPhone",
    ),
    "nl": Replies(
        gmail=f"Op ma 5 jan 2026 om 09:58 schreef {N}:",
        apple=f"Op 5 jan. 2026 om 09:58 heeft {N} het volgende geschreven:",
        thunderbird=f"Op 05-01-2026 om 09:58 schreef {NAME}:",
        yahoo=f"Op maandag 5 januari 2026 om 09:58:00 CET schreef {N}:",
        outlook=("Van", "Verzonden", "Aan", "Onderwerp", "maandag 5 januari 2026 09:58"),
        telephone="Verstuurd vanaf mijn iPhone",
    ),
    "de": Replies(
        gmail=f"Am Mo., 5. Jan. 2026 um 09:58 Uhr schrieb {N}:",
        apple=f"Am 05.01.2026 um 09:58 schrieb {N}:",
        thunderbird=f"Am 05.01.26 um 09:58 schrieb {NAME}:",
        yahoo=f"Am Montag, 5. Januar 2026 um 09:58:00 MEZ hat {N} Folgendes geschrieben:",
        outlook=("Von", "Gesendet", "An", "Betreff", "Montag, 5. Januar 2026 09:58"),
        telephone="Von meinem iPhone gesendet",
    ),
    "es": Replies(
        gmail=f"El lun, 5 ene 2026 a las 9:58, {NAME} (<{ADDRESS}>) escribió:",
        apple=f"El 5 ene 2026, a las 9:58, {N} escribió:",
        thunderbird=f"El 5/1/26 a las 9:58, {NAME} escribió:",
        yahoo=f"El lunes, 5 de enero de 2026, 09:58:00 CET, {N} escribió:",
        outlook=("De", "Enviado el", "Para", "Asunto", "lunes, 5 de enero de 2026 9:58"),
        telephone="Enviado desde mi iPhone",
    ),
    "it": Replies(
        gmail=f"Il giorno lun 5 gen 2026 alle ore 09:58 {N} ha scritto:",
        apple=f"Il giorno 5 gen 2026, alle ore 09:58, {N} ha scritto:",
        thunderbird=f"Il 05/01/2026 09:58, {NAME} ha scritto:",
        yahoo=f"Il lunedì 5 gennaio 2026 alle ore 09:58:00 CET, {N} ha scritto:",
        outlook=("Da", "Inviato", "A", "Oggetto", "lunedì 5 gennaio 2026 09:58"),
        telephone="Inviato da iPhone",
    ),
    "pt": Replies(
        gmail=f"Em seg., 5 de jan. de 2026 às 09:58, {N} escreveu:",
        apple=f"Em 5 de jan. de 2026, à(s) 09:58, {N} escreveu:",
        thunderbird=f"Em 05/01/2026 09:58, {NAME} escreveu:",
        yahoo=f"Em segunda-feira, 5 de janeiro de 2026 09:58:00 WET, {N} escreveu:",
        outlook=(
            "De",
            "Enviada em",
            "Para",
            "Assunto",
            "segunda-feira, 5 de janeiro de 2026 09:58",
        ),
        telephone="Enviado do meu iPhone",
    ),
    "pl": Replies(
        gmail=f"pon., 5 sty 2026 o 09:58 {N} napisał(a):",
        apple=f"Wiadomość napisana przez {N} w dniu 5 sty 2026, o godz. 09:58:",
        thunderbird=f"W dniu 5.01.2026 o 09:58, {NAME} pisze:",
        yahoo=f"W dniu poniedziałek, 5 stycznia 2026 09:58:00 CET użytkownik {N} napisał:",
        outlook=("Od", "Wysłano", "Do", "Temat", "poniedziałek, 5 stycznia 2026 09:58"),
        telephone="Wysłane z iPhone'a",
    ),
    "ru": Replies(
        gmail=f"пн, 5 янв. 2026 г. в 09:58, {N}:",
        apple=f"5 янв. 2026 г., в 09:58, {N} написал(а):",
        thunderbird=f"05.01.2026 09:58, {NAME} пишет:",
        yahoo=f"В понедельник, 5 января 2026 г. в 09:58:00 GMT+3, {N} написал(а):",
        outlook=("От", "Отправлено", "Кому", "Тема", "понедельник, 5 января 2026 г. 9:58"),
        telephone="Отправлено с iPhone",
    ),
    "uk": Replies(
        gmail=f"пн, 5 січ. 2026 р. о 09:58 {N} пише:",
        apple=f"5 січ. 2026 р. о 09:58 {N} написав(-ла):",
        thunderbird=f"05.01.26 09:58, {NAME} пише:",
        yahoo=f"понеділок, 5 січня 2026 р. о 09:58:00 GMT+2, {N} написав(-ла):",
        outlook=("Від", "Надіслано", "Кому", "Тема", "понеділок, 5 січня 2026 р. 9:58"),
        telephone="Надіслано з iPhone",
    ),
    "zh-cn": Replies(
        gmail=f"{N} 于2026年1月5日周一 09:58写道：",
        apple=f"2026年1月5日 09:58，{N} 写道：",
        thunderbird=f"在 2026/1/5 9:58, {NAME} 写道:",
        yahoo=f"在 2026年1月5日 星期一 09:58:00 [GMT+8]， {N} 写道：",
        outlook=("发件人", "发送时间", "收件人", "主题", "2026年1月5日 9:58"),
        telephone="发自我的 iPhone",
    ),
    "zh-tw": Replies(
        gmail=f"{N} 於 2026年1月5日 週一 上午9:58寫道：",
        apple=f"{N} 於 2026年1月5日 上午9:58 寫道：",
        thunderbird=f"於 2026/1/5 上午 09:58, {NAME} 寫道:",
        yahoo=f"{N} 於 2026年1月5日 星期一 上午09:58:00 [GMT+8] 寫道：",
        outlook=("寄件者", "寄件日期", "收件者", "主旨", "2026年1月5日 上午 09:58"),
        telephone="從我的 iPhone 傳送",
    ),
    "ja": Replies(
        gmail=f"2026年1月5日(月) 9:58 {N}:",
        apple=f"2026/01/05 9:58、{N}のメール:",
        thunderbird=f"On 2026/01/05 9:58, {NAME} wrote:",
        yahoo=f"2026年1月5日月曜日 09:58:00 JST, {N} のメッセージ:",
        outlook=("差出人", "送信日時", "宛先", "件名", "2026年1月5日 9:58"),
        telephone="iPhoneから送信",
    ),
    "ko": Replies(
        gmail=f"2026년 1월 5일 (월) 오전 9:58, {N}님이 작성:",
        apple=f"2026. 1. 5. 오전 9:58, {N} 작성:",
        thunderbird=f"2026-01-05 오전 9:58에 {NAME} 이(가) 쓴 글:",
        yahoo=f"2026년 1월 5일 월요일 오전 09:58:00 GMT+9, {N}님이 작성:",
        outlook=("보낸 사람", "보낸 날짜", "받는 사람", "제목", "2026년 1월 5일 월요일 오전 9:58"),
        telephone="나의 iPhone에서 보냄",
    ),
    "tr": Replies(
        gmail=f"{N}, 5 Oca 2026 Pzt, 09:58 tarihinde şunu yazdı:",
        apple=f"{N} şunları yazdı (5 Oca 2026 09:58):",
        thunderbird=f"5.01.2026 09:58 tarihinde {NAME} yazdı:",
        yahoo=f"5 Ocak 2026 Pazartesi 09:58:00 GMT+3 tarihinde {N} şunu yazdı:",
        outlook=("Kimden", "Gönderildi", "Kime", "Konu", "5 Ocak 2026 Pazartesi 09:58"),
        telephone="iPhone'umdan gönderildi",
    ),
    "sv": Replies(
        gmail=f"Den mån 5 jan. 2026 kl 09:58 skrev {N}:",
        apple=f"5 jan. 2026 kl. 09:58 skrev {N}:",
        thunderbird=f"Den 2026-01-05 kl. 09:58, skrev {NAME}:",
        yahoo=f"Den måndag 5 januari 2026 09:58:00 CET, {N} skrev:",
        outlook=("Från", "Skickat", "Till", "Ämne", "den 5 januari 2026 09:58"),
        telephone="Skickat från min iPhone",
    ),
    "da": Replies(
        gmail=f"Den man. 5. jan. 2026 kl. 09.58 skrev {N}:",
        apple=f"Den 5. jan. 2026 kl. 09.58 skrev {N}:",
        thunderbird=f"Den 05.01.2026 kl. 09.58 skrev {NAME}:",
        yahoo=f"Den mandag 5. januar 2026 09.58.00 CET, {N} skrev:",
        outlook=("Fra", "Sendt", "Til", "Emne", "5. januar 2026 09:58"),
        telephone="Sendt fra min iPhone",
    ),
    "nb": Replies(
        gmail=f"man. 5. jan. 2026 kl. 09:58 skrev {N}:",
        apple=f"5. jan. 2026 kl. 09:58 skrev {N}:",
        thunderbird=f"Den 05.01.2026 09:58, skrev {NAME}:",
        yahoo=f"mandag 5. januar 2026 09:58:00 CET skrev {N}:",
        outlook=("Fra", "Sendt", "Til", "Emne", "mandag 5. januar 2026 09:58"),
        telephone="Sendt fra min iPhone",
    ),
    "fi": Replies(
        gmail=f"ma 5. tammik. 2026 klo 9.58 {NAME} ({ADDRESS}) kirjoitti:",
        apple=f"{N} kirjoitti 5.1.2026 kello 9.58:",
        thunderbird=f"{NAME} kirjoitti 5.1.2026 klo 9.58:",
        yahoo=f"maanantai 5. tammikuuta 2026 klo 09.58.00 UTC+2 {N} kirjoitti:",
        outlook=(
            "Lähettäjä",
            "Lähetetty",
            "Vastaanottaja",
            "Aihe",
            "maanantai 5. tammikuuta 2026 9.58",
        ),
        telephone="Lähetetty iPhonesta",
    ),
    "cs": Replies(
        gmail=f"po 5. 1. 2026 v 9:58 odesílatel {N} napsal:",
        apple=f"5. 1. 2026 v 9:58, {N}:",
        thunderbird=f"Dne 05. 01. 26 v 9:58 {NAME} napsal(a):",
        yahoo=f"Dne pondělí 5. ledna 2026 09:58:00 SEČ, {N} napsal(a):",
        outlook=("Od", "Odesláno", "Komu", "Předmět", "pondělí 5. ledna 2026 9:58"),
        telephone="Odesláno z iPhonu",
    ),
    "hu": Replies(
        gmail=f"{N} ezt írta (időpont: 2026. jan. 5., H, 9:58):",
        apple=f"2026. jan. 5. dátummal, 9:58 időpontban {N} írta:",
        thunderbird=f"2026. 01. 05. 9:58 keltezéssel, {NAME} írta:",
        yahoo=f"2026. január 5., hétfő 09:58:00 CET időpontban {N} ezt írta:",
        outlook=("Feladó", "Elküldve", "Címzett", "Tárgy", "2026. január 5., hétfő 9:58"),
        telephone="Az iPhone-omról küldve",
    ),
    "ro": Replies(
        gmail=f"În lun., 5 ian. 2026 la 09:58, {N} a scris:",
        apple=f"Pe 5 ian. 2026, la 09:58, {N} a scris:",
        thunderbird=f"Pe 05.01.2026 09:58, {NAME} a scris:",
        yahoo=f"luni, 5 ianuarie 2026 la 09:58:00 EET, {N} a scris:",
        outlook=("De la", "Trimis", "Către", "Subiect", "luni, 5 ianuarie 2026 09:58"),
        telephone="Trimis de pe iPhone-ul meu",
    ),
    "el": Replies(
        gmail=f"Στις Δευ 5 Ιαν 2026 στις 9:58 π.μ., ο χρήστης {N} έγραψε:",
        apple=f"Στις 5 Ιαν 2026, στις 09:58, ο/η {N} έγραψε:",
        thunderbird=f"Στις 5/1/26 09:58, ο/η {NAME} έγραψε:",
        yahoo=f"Στις Δευτέρα 5 Ιανουαρίου 2026 στις 09:58:00 π.μ. EET, ο χρήστης {N} έγραψε:",
        outlook=("Από", "Στάλθηκε", "Προς", "Θέμα", "Δευτέρα, 5 Ιανουαρίου 2026 9:58 πμ"),
        telephone="Στάλθηκε από το iPhone μου",
    ),
    "he": Replies(
        gmail=(
            f"\u202bבתאריך יום ב׳, 5 בינו׳ 2026 ב-9:58 מאת \u202a{NAME}\u202c\u200f "
            f"<\u202a{ADDRESS}\u202c\u200f>:\u202c"
        ),
        apple=f"ב-5 בינו׳ 2026, בשעה 9:58, {N} כתב/ה:",
        thunderbird=f"בתאריך 05/01/2026 בשעה 9:58, {NAME} כתב:",
        yahoo=f"ביום שני, 5 בינואר 2026 בשעה 09:58:00 GMT+2, {N} כתב/ה:",
        outlook=("מאת", "נשלח", "אל", "נושא", "יום שני 05 ינואר 2026 09:58"),
        telephone="נשלח מה-iPhone שלי",
    ),
    "ar": Replies(
        gmail=f"في الاثنين، 5 يناير 2026 في 9:58 ص تمت كتابة ما يلي بواسطة {N}:",
        apple=f"في ٥ يناير ٢٠٢٦، الساعة ٩:٥٨ ص، كتب/ت {N}:",
        thunderbird=f"في 5/1/2026 9:58 ص، كتب {NAME}:",
        yahoo=f"في الاثنين، 5 يناير 2026 في 09:58:00 ص غرينتش+3، كتب {N}:",
        outlook=("من", "تاريخ الإرسال", "إلى", "الموضوع", "الاثنين، 5 يناير 2026 09:58 ص"),
        telephone="أُرسلت من الـ iPhone",
    ),
    "vi": Replies(
        gmail=f"Vào Th 2, 5 thg 1, 2026 vào lúc 09:58 {N} đã viết:",
        apple=f"Vào 5 thg 1, 2026, lúc 09:58, {N} đã viết:",
        thunderbird=f"Vào 05/01/2026 09:58, {NAME} đã viết:",
        yahoo=f"Vào 09:58:00 GMT+7 Thứ Hai, 5 tháng 1, 2026, {N} đã viết:",
        outlook=("Từ", "Đã gửi", "Đến", "Chủ đề", "Thứ Hai, 5 Tháng Giêng 2026 9:58 SA"),
        telephone="Đã gửi từ iPhone của tôi",
    ),
    "id": Replies(
        gmail=f"Pada tanggal Sen, 5 Jan 2026 pukul 09.58 {N} menulis:",
        apple=f"Pada 5 Jan 2026, pukul 09.58, {N} menulis:",
        thunderbird=f"Pada 05/01/26 09.58, {NAME} menulis:",
        yahoo=f"Pada Senin, 5 Januari 2026 pukul 09.58.00 WIB, {N} menulis:",
        outlook=("Dari", "Dikirim", "Kepada", "Subjek", "Senin, 5 Januari 2026 9:58"),
        telephone="Dikirim dari iPhone saya",
    ),
    "th": Replies(
        gmail=f"ในวันที่ จ. 5 ม.ค. 2026 เวลา 09:58 {N} เขียนว่า:",
        apple=f"เมื่อวันที่ 5 ม.ค. 2569 เวลา 09:58 {N} เขียนว่า:",
        thunderbird=f"เมื่อ 5/1/2026 9:58 {NAME} เขียนว่า:",
        yahoo=f"ในวันที่ วันจันทร์ที่ 5 มกราคม 2026 09:58:00 GMT+7, {N} เขียนว่า:",
        outlook=("จาก", "ส่ง", "ถึง", "เรื่อง", "วันจันทร์ที่ 5 มกราคม 2569 9:58"),
        telephone="ส่งจาก iPhone ของฉัน",
    ),
}

#: Forms of programs that are not of one language in the table, plain.
MORE = {
    "horde-de": f"Zitat von {N}:\n\n> a\n> b",
    "horde-en": f"Quoting {N}:\n\n> a\n> b",
    "horde-fr": f"{N} a écrit :\n\n> a\n> b",
    "horde-es": f"{N} escribió:\n\n> a",
    "gmail-de-older": f"{N} schrieb am Mo., 5. Jan. 2026,\n09:58:\n\n> a",
    "gmail-pt-older": f"{N} escreveu (segunda, 5/01/2026 à(s) 09:58):\n\n> a",
    "gmail-en-older": f"2026-01-05 9:58 GMT+01:00 {N}:\n\n> a",
    "gmail-broken": f"On Mon, Jan 5, 2026 at 9:58 AM Marie Martin, the very busy workshop\n<{ADDRESS}>\nwrote:\n\n> a",
    "zoho": f"---- On Mon, 05 Jan 2026 09:58:00 +0100 {N} wrote ----\n\na\nb",
    "yahoo-classic": f"--- On Mon, 1/5/26, {N} wrote:\n\n\n  From: {N}\n  a",
    "yahoo-indented": f"    Le lundi 5 janvier 2026 à 09:58:00 UTC+1, {N} a écrit :  \n \n  a\n  b",
    "mutt": f"On Mon, Jan 05, 2026 at 09:58:00AM +0100, {NAME} wrote:\n> a",
    "kmail": f"On Monday, 5 January 2026 09:58:00 CET {NAME} wrote:\n> a",
    "emacs": f">>>>> On Mon, 05 Jan 2026, {NAME} said:\n> a",
    "alpine": f"On Mon, 5 Jan 2026, {NAME} wrote:\n\n> a",
    "roundcube-de": f"Am 05.01.2026 09:58, schrieb {NAME}:\n> a",
    "yandex": f'05.01.2026, 09:58, "{NAME}" <{ADDRESS}>:\n> a',
    "mail.ru": f"Понедельник, 5 января 2026, 9:58 +03:00 от {N}:\n> a",
    "proton": f"On Monday, January 5th, 2026 at 9:58 AM, {N} wrote:\n\n> a",
    "qq": f'------------------ 原始邮件 ------------------\n发件人: "{NAME}" <{ADDRESS}>;\n发送时间: 2026年1月5日(星期一) 上午9:58\n收件人: "Jean"<jean@example.org>;\n主题: 4711\n\na',
    "163": f'在 2026-01-05 09:58:00，"{NAME}" <{ADDRESS}> 写道：\n\na',
    "lotus": f"From:\t{N}\nTo:\tJean <jean@example.org>\nDate:\t05/01/2026 09:58\nSubject:\t4711\n\na",
    "exchange-mobile": f"-------- Original message --------\nFrom: {N}\nDate: 05/01/2026 09:58 (GMT+01:00)\nTo: jean@example.org\nSubject: 4711\n\na",
    "samsung-fr": f"-------- Message d'origine --------\nDe : {N}\nDate : 05/01/2026 09:58 (GMT+01:00)\nÀ : jean@example.org\nObjet : 4711\n\na",
    "outlook-2003-de": f"-----Ursprüngliche Nachricht-----\nVon: {N}\nGesendet: Montag, 5. Januar 2026 09:58\nAn: Jean\nBetreff: 4711\n\na",
    "web.de": f'Gesendet: Montag, 05. Januar 2026 um 09:58 Uhr\nVon: "{NAME}" <{ADDRESS}>\nAn: jean@example.org\nBetreff: 4711\n\na',
    "gmail-broken-in-address": f'Am 05.01.2026 09:58 schrieb "{NAME}" <{ADDRESS}\n>:\n\n> a',
    "gmail-broken-before-address": f'5 янв. 2026 г. 09:58 пользователь "{NAME}" <\n{ADDRESS}> написал:\n\n> a',
    "gmail-older-broken": f"2026-01-05 9:58 GMT+01:00 {NAME} <\n{ADDRESS}>:\n\n> a",
    "bold-original": f"*-------- Original Message --------*\n*From:* {N}\n\na",
    # Languages that are in no table.
    "lv": f"Pirmd., 2026. g. 5. janv., plkst. 09:58 {N} rakstīja:\n\n> a",
    "lt": f"2026-01-05, pr, 09:58 {N} rašė:\n\n> a",
    "et": f"{N} kirjutas kuupäeval E, 5. jaanuar 2026 kell 09:58:\n\n> a",
    "sl": f"V V pon., 5. jan. 2026 ob 09:58 je oseba {N} napisala:\n\n> a",
    "hr": f"pon, 5. sij 2026. u 09:58 {N} je napisao/la:\n\n> a",
    "bg": f"На пн, 5.01.2026 г. в 9:58 {N} написа:\n\n> a",
    "ca": f"Missatge de {N} del dia dl., 5 de gen. 2026 a les 9:58:\n\n> a",
    "fa": f"در تاریخ دوشنبه ۵ ژانویهٔ ۲۰۲۶،\u200f ۹:۵۸ {N} نوشت:\n\n> a",
    "hi": f"सोम, 5 जन॰ 2026 को 9:58 am बजे को {N} ने लिखा:\n\n> a",
    "is": f"mán., 5. jan. 2026 kl. 09:58 skrifaði {N}:\n\n> a",
    "lv-headers": f"No: {N}\nNosūtīts: pirmdiena, 2026. gada 5. janvāris 09:58\nKam: Jean <jean@example.org>\nTēma: 4711\n\na",
}


def plain() -> Iterator[tuple[str, str]]:
    """Name and text of each answer in plain text."""
    quoted = "\n".join(f"> {line}".rstrip() for line in OLD)
    for code, each in LANGUAGES.items():
        yield f"{code}-gmail", f"{NEW}\n\n{each.gmail}\n\n{quoted}\n"
        yield (
            f"{code}-apple",
            f"{NEW}\n\n{each.telephone}\n\n> {each.apple}\n> \n{quoted}\n".replace(
                f"> {each.apple}", each.apple
            ),
        )
        # Below what it answers.
        yield f"{code}-thunderbird", f"{each.thunderbird}\n{quoted}\n\n{NEW}\n\n-- \nJean\n"
        indented = "\n".join(f"  {line}" for line in OLD)
        yield f"{code}-yahoo", f" {NEW}\n\n    {each.yahoo}  \n \n{indented}"
        yield f"{code}-outlook", f"{NEW}\n\n{_headers(each)}\n\n" + "\n".join(OLD)
    for name, text in MORE.items():
        yield name, f"{NEW}\n\n{text}\n"


def html() -> Iterator[tuple[str, str]]:
    """Name and text of each answer in HTML."""
    new = NEW.replace("\n", "<br>")
    old = "<br>".join(OLD)
    for code, each in LANGUAGES.items():
        gmail, apple, thunderbird, yahoo = map(
            _escaped, (each.gmail, each.apple, each.thunderbird, each.yahoo)
        )
        yield (
            f"{code}-gmail",
            f'<div dir="ltr">{new}</div><br><div class="gmail_quote gmail_quote_container"><div '
            f'dir="ltr" class="gmail_attr">{gmail}<br></div><blockquote class="gmail_quote" '
            f'style="margin:0px 0px 0px 0.8ex">{old}</blockquote></div>',
        )
        yield (
            f"{code}-apple",
            f'<html><body>{new}<br><br>{each.telephone}<div><br><blockquote type="cite"><div>{apple}'
            f'<br><br></div></blockquote></div><blockquote type="cite"><div>{old}</div></blockquote>',
        )
        yield (
            f"{code}-thunderbird",
            f'<div class="moz-cite-prefix">{thunderbird}<br></div><blockquote type="cite" '
            f'cite="mid:1@x"><p>{old}</p></blockquote><p>{new}</p><div class="moz-signature">-- '
            "<br>Jean</div>",
        )
        yield (
            f"{code}-yahoo",
            f'<div class="ydp1a2byahoo-style-wrap"><div>{new}</div></div><div id='
            f'"ydp3c4dyahoo_quoted_1" class="ydp3c4dyahoo_quoted"><div>{yahoo}</div><div>{old}</div>',
        )
        headers = "<br>".join(
            f"<b>{_escaped(line.partition(':')[0])}:</b>{_escaped(line.partition(':')[2])}"
            for line in _headers(each).split("\n")
        )
        yield (
            f"{code}-outlook",
            f'<p class="MsoNormal">{new}<o:p></o:p></p><p class="MsoNormal">&nbsp;</p><div style="'
            'border:none;border-top:solid #E1E1E1 1.0pt;padding:3.0pt 0cm 0cm 0cm"><p class='
            f'"MsoNormal">{headers}<o:p></o:p></p></div><p class="MsoNormal">&nbsp;</p><p>{old}</p>',
        )
        yield (
            f"{code}-outlook-web",
            f'<div>{new}</div><div id="appendonsend"></div><hr><div id="divRplyFwdMsg" dir="ltr">'
            f"{headers}</div><div>{old}</div>",
        )
        # A quote that says nothing of itself, below an attribution.
        yield (
            f"{code}-unmarked",
            f"<div>{new}</div><div>{gmail}</div><blockquote><p>{old}</p></blockquote>",
        )


def _headers(each: Replies) -> str:
    sender, sent, to, subject, date = each.outlook
    return f"{sender}: {N}\n{sent}: {date}\n{to}: Jean <jean@example.org>\n{subject}: 4711"


def _escaped(text: str) -> str:
    return text.replace("<", "&lt;").replace(">", "&gt;")
