"""The words that mail programs write into answers and forwarded mails, by language.

Seen in the interfaces of Gmail, Outlook, Apple Mail, Thunderbird, Yahoo, Horde, KMail, Yandex, QQ
and Samsung's program. `quotes` finds by their form the attributions that have no word here.
"""

from dataclasses import dataclass
from functools import cache


@dataclass(frozen=True, slots=True, kw_only=True)
class Language:
    """One language's words, all in lower case; several mean the same in different programs."""

    #: Words that begin an attribution, where a program broke it over lines.
    opens: tuple[str, ...] = ()
    #: The verbs of attributions: somebody "wrote".
    wrote: tuple[str, ...]
    #: The labels of a quoted mail's headers.
    sender: tuple[str, ...]
    sent: tuple[str, ...]
    to: tuple[str, ...]
    copy: tuple[str, ...] = ()
    subject: tuple[str, ...]
    #: Words between dashes above an answered mail, and above a forwarded one.
    original: tuple[str, ...] = ()
    forwarded: tuple[str, ...] = ()
    #: Footers of telephones and programs, as regular expressions; D is a device with
    #: up to two words before it.
    footer: tuple[str, ...] = ()


LANGUAGES = {
    "en": Language(
        opens=("on", "in a message dated"),
        wrote=("wrote", "writes", "quoting"),
        sender=("from",),
        sent=("sent", "date", "sent on", "sent at"),
        to=("to",),
        copy=("cc", "bcc", "reply-to", "reply to", "importance", "attachments", "organization"),
        subject=("subject",),
        original=("original message", "original email", "reply message", "original"),
        forwarded=("forwarded message", "begin forwarded message", "forwarded mail"),
        footer=(
            r"sent (?:from|via|with|using) (?:my |the )?D",
            r"get outlook for (?:ios|android|mac)",
        ),
    ),
    "fr": Language(
        opens=("le",),
        wrote=("a écrit", "écrit", "a ecrit", "citation de"),
        sender=("de", "expéditeur"),
        sent=("envoyé", "envoyé le", "date", "date d'envoi"),
        to=("à", "a", "pour", "destinataire"),
        copy=("cc", "cci", "répondre à", "pièces jointes", "importance"),
        subject=("objet", "sujet"),
        original=("message d'origine", "message original", "mail original", "e-mail original"),
        forwarded=(
            *("message transféré", "message réexpédié", "début du message réexpédié"),
            *("début du message transféré", "courriel transféré", "mail transféré"),
        ),
        footer=(
            r"envoyé (?:de|depuis|à partir (?:de|d')|par|via|avec) ?(?:mon |ma |la |l')?D",
            r"(?:obtenir|obtenez|téléchargez|télécharger) outlook pour (?:ios|android|mac)",
            r"provenance ?: (?:courrier|mail) (?:pour|de) windows(?: 10)?",
        ),
    ),
    "nl": Language(
        opens=("op",),
        wrote=("schreef", "geschreven", "schrijft", "citeren", "geciteerd"),
        sender=("van", "afzender"),
        sent=("verzonden", "datum", "verstuurd"),
        to=("aan",),
        copy=("cc", "bcc", "beantwoorden", "bijlagen", "urgentie"),
        subject=("onderwerp",),
        original=("oorspronkelijk bericht", "origineel bericht", "oorspronkelijke bericht"),
        forwarded=(
            *("doorgestuurd bericht", "begin doorgestuurd bericht"),
            "begin van het doorgestuurde bericht",
        ),
        footer=(
            r"(?:verzonden|verstuurd) (?:vanaf|vanuit|van|via|met) (?:mijn |de )?D",
            r"(?:download|haal) outlook voor (?:ios|android|mac)(?: op)?",
        ),
    ),
    "de": Language(
        opens=("am",),
        wrote=("schrieb", "geschrieben", "schreibt", "zitat von"),
        sender=("von", "absender"),
        sent=("gesendet", "datum", "gesendet am"),
        to=("an",),
        copy=("cc", "bcc", "kopie", "antwort an", "anlagen", "wichtigkeit", "priorität"),
        subject=("betreff", "betr."),
        original=(
            *("ursprüngliche nachricht", "originalnachricht", "original-nachricht"),
            *("original nachricht", "ursprüngliche mail", "original-mail"),
        ),
        forwarded=(
            *("weitergeleitete nachricht", "anfang der weitergeleiteten nachricht"),
            *("anfang der weitergeleiteten e-mail", "weitergeleitete mail"),
        ),
        footer=(
            r"gesendet (?:von|mit|über) (?:meinem |meiner |der |dem )?D",
            r"von (?:meinem )?D gesendet",
            r"(?:holen sie sich|laden sie) outlook für (?:ios|android|mac)(?: herunter)?",
            r"diese nachricht wurde von meinem D\S{0,20}(?: mit [\w-]{1,20} mail)? gesendet",
        ),
    ),
    "es": Language(
        opens=("el",),
        wrote=("escribió", "escribio", "escribe", "citando a"),
        sender=("de",),
        sent=("enviado", "enviado el", "fecha", "enviada"),
        to=("para", "a"),
        copy=("cc", "cco", "responder a", "importancia", "datos adjuntos"),
        subject=("asunto",),
        original=("mensaje original",),
        forwarded=(
            *("mensaje reenviado", "mensaje transferido", "inicio del mensaje reenviado"),
            *("forwarded message", "comienzo del mensaje reenviado"),
        ),
        footer=(
            r"enviad[oa] (?:desde|con|por) (?:mi |el |la )?D",
            r"obtener outlook para (?:ios|android|mac)",
        ),
    ),
    "it": Language(
        opens=("il", "in data"),
        wrote=("ha scritto", "scrive", "scritto", "citando"),
        sender=("da", "mittente"),
        sent=("inviato", "data", "data invio", "inviato il"),
        to=("a", "per"),
        copy=("cc", "ccn", "rispondi a", "allegati", "priorità"),
        subject=("oggetto",),
        original=("messaggio originale", "messaggio originario"),
        forwarded=("messaggio inoltrato", "inizio messaggio inoltrato", "messaggio reinoltrato"),
        footer=(
            r"inviato (?:da|dal|dalla|con|tramite) ?(?:mio |il mio )?D",
            r"(?:ottieni|scarica) outlook per (?:ios|android|mac)",
        ),
    ),
    "pt": Language(
        opens=("em", "a", "no dia"),
        wrote=("escreveu", "escreve", "citando"),
        sender=("de", "remetente"),
        sent=("enviado", "enviada em", "enviado em", "enviada", "data"),
        to=("para",),
        copy=("cc", "cco", "responder a", "responder para", "anexos", "prioridade"),
        subject=("assunto",),
        original=("mensagem original",),
        forwarded=(
            *("mensagem encaminhada", "mensagem reencaminhada", "início da mensagem encaminhada"),
            "início da mensagem reencaminhada",
        ),
        footer=(
            r"enviad[oa] (?:do|da|de|pelo|a partir do|via|com) (?:o |a )?(?:meu |minha )?D",
            r"(?:obter|obtenha) o outlook para (?:ios|android|mac)",
        ),
    ),
    "pl": Language(
        opens=("w dniu", "dnia"),
        wrote=("napisał", "napisała", "napisał(a)", "pisze", "napisano", "cytowanie", "cytat z"),
        sender=("od", "nadawca"),
        sent=("wysłano", "data", "wysłane"),
        to=("do",),
        copy=("dw", "udw", "odpowiedz do", "załączniki", "ważność"),
        subject=("temat",),
        original=("wiadomość oryginalna", "oryginalna wiadomość", "treść oryginalnej wiadomości"),
        forwarded=(
            *("wiadomość przekazana dalej", "przekazana wiadomość", "wiadomość przekazana"),
            *("początek przekazywanej wiadomości", "treść przekazanej wiadomości"),
            "treść przekazywanej wiadomości",
        ),
        footer=(
            r"wysłan[eoy] (?:z|ze|za pomocą|przy użyciu) (?:mojego |programu )?D\S{0,4}",
            r"pobierz (?:aplikację )?outlook (?:dla|na) (?:systemu )?(?:ios|android|mac)",
        ),
    ),
    "ru": Language(
        opens=("в",),
        wrote=("пишет", "написал", "написала", "написал(а)", "написано", "цитирую", "цитата"),
        sender=("от", "от кого"),
        sent=("отправлено", "дата", "дата отправки"),
        to=("кому",),
        copy=("копия", "скрытая копия", "вложения", "важность"),
        subject=("тема",),
        original=(
            *("исходное сообщение", "исходное письмо", "оригинальное сообщение"),
            "первоначальное сообщение",
        ),
        forwarded=(
            *("пересылаемое сообщение", "пересланное сообщение", "переадресованное сообщение"),
            *("начало переадресованного сообщения", "начало пересылаемого сообщения"),
            *("пересылаемое письмо", "перенаправленное сообщение", "конец пересылаемого сообщения"),
        ),
        footer=(
            r"отправлено (?:с|из|через) (?:моего )?D",
            r"скачать outlook для (?:ios|android|mac)",
        ),
    ),
    "uk": Language(
        opens=("у", "в"),
        wrote=("пише", "написав", "написала", "написав(-ла)", "написано"),
        sender=("від", "від кого"),
        sent=("надіслано", "дата", "відправлено"),
        to=("кому",),
        copy=("копія",),
        subject=("тема",),
        original=("вихідне повідомлення", "оригінальне повідомлення"),
        forwarded=("переслане повідомлення", "пересланий лист", "початок переадресованого листа"),
        footer=(r"(?:надіслано|відправлено) (?:з|із|через) (?:мого )?D",),
    ),
    "zh": Language(
        opens=("在", "于", "於"),
        wrote=("写道", "寫道", "来信", "來信", "写了", "寫了", "撰写", "撰寫", "寫給"),
        sender=("发件人", "寄件者", "寄件人", "發件人", "发信人"),
        sent=(
            "发送时间",
            "发件时间",
            "日期",
            "寄件日期",
            "傳送時間",
            "已傳送",
            "已发送",
            "發送時間",
        ),
        to=("收件人", "收件者"),
        copy=("抄送", "副本", "密送", "密件副本", "附件"),
        subject=("主题", "主題", "主旨"),
        original=("原始邮件", "原始郵件", "原邮件", "原郵件", "回复的原邮件", "原始信件"),
        forwarded=(
            *("转发邮件", "轉寄郵件", "转发的邮件", "轉寄的郵件", "转发的消息", "转发邮件信息"),
            *("下面是被转发的邮件", "開始轉寄郵件", "已转发邮件", "forwarded message", "轉寄訊息"),
        ),
        footer=(
            r"(?:发自|來自|从|從|发送自|寄自|傳送自)(?:我的)? ?D(?: ?[发傳發]送)?",
            r"(?:获取|取得|下载) ?(?:适用于|適用於|for)? ?outlook.{0,12}",
        ),
    ),
    "ja": Language(
        wrote=(
            "書きました",
            "のメール",
            "のメッセージ",
            "は書いた",
            "さんは次のように書きました",
            "wrote",
        ),
        sender=("差出人", "送信者", "from"),
        sent=("送信日時", "日時", "日付", "送信日"),
        to=("宛先", "to"),
        copy=("cc", "bcc", "添付ファイル", "重要度", "返信先"),
        subject=("件名",),
        original=("元のメッセージ", "オリジナルメッセージ", "original message"),
        forwarded=("転送メッセージ", "転送されたメッセージ", "転送されたメール", "転送メール"),
        footer=(r"(?:私の)?Dから送信", r"D ?(?:で|より|から)送信(?:されました|しました)?"),
    ),
    "ko": Language(
        wrote=("작성", "작성했습니다", "님이 작성", "썼습니다", "쓴 글", "메시지", "보낸 메일"),
        sender=("보낸 사람", "보낸사람", "보낸이"),
        sent=("보낸 날짜", "날짜", "보낸 시간", "보낸날짜"),
        to=("받는 사람", "받는사람", "받는이"),
        copy=("참조", "숨은 참조", "첨부 파일"),
        subject=("제목",),
        original=("원본 메시지", "원본 메일", "원본 메세지", "original message"),
        forwarded=("전달된 메시지", "전달된 메세지", "전달된 메일", "전달한 메시지"),
        footer=(r"(?:나의 |내 )?Dd?에서 (?:보냄|보낸 메일|전송|발송)",),
    ),
    "tr": Language(
        wrote=("yazdı", "şunu yazdı", "şunları yazdı", "yazmış", "alıntı"),
        sender=("gönderen", "kimden"),
        sent=("gönderildi", "tarih", "gönderilme tarihi", "gönderme tarihi"),
        to=("kime", "alıcı"),
        copy=("bilgi", "cc", "gizli"),
        subject=("konu",),
        original=("orijinal mesaj", "özgün ileti", "orjinal mesaj", "orijinal ileti"),
        forwarded=(
            *("iletilen mesaj", "iletilmiş mesaj", "yönlendirilmiş ileti", "iletilen ileti"),
            "iletilmiş mesajın başlangıcı",
        ),
        footer=(r"D\S{0,6} ?(?:\w+ )?gönderildi",),
    ),
    "sv": Language(
        opens=("den", "på"),
        wrote=("skrev", "skriver", "citerar", "citat från"),
        sender=("från",),
        sent=("skickat", "datum", "skickades"),
        to=("till",),
        copy=("kopia", "svar till", "bilagor", "prioritet"),
        subject=("ämne",),
        original=("ursprungligt meddelande", "originalmeddelande", "ursprungligt mail"),
        forwarded=(
            *("vidarebefordrat meddelande", "vidarebefordrat brev"),
            *("vidarebefordrat mejl", "början på vidarebefordrat meddelande"),
        ),
        footer=(
            r"skickat? (?:från|med|via) (?:min |mitt )?D",
            r"hämta outlook för (?:ios|android|mac)",
        ),
    ),
    "da": Language(
        opens=("den", "på"),
        wrote=("skrev", "skriver", "citat"),
        sender=("fra",),
        sent=("sendt", "dato"),
        to=("til",),
        copy=("cc", "svar til", "vedhæftede filer"),
        subject=("emne",),
        original=("oprindelig meddelelse", "oprindelig besked", "original meddelelse"),
        forwarded=(
            *("videresendt meddelelse", "videresendt besked", "videresendt mail"),
            *("start på videresendt besked", "begyndelse på videresendt besked"),
        ),
        footer=(
            r"sendt (?:fra|med|via) (?:min |mit )?D",
            r"(?:hent|få) outlook til (?:ios|android|mac)",
        ),
    ),
    "no": Language(
        opens=("den", "på"),
        wrote=("skrev", "skreiv", "sitat fra"),
        sender=("fra", "frå"),
        sent=("sendt", "dato"),
        to=("til",),
        copy=("kopi", "svar til", "vedlegg"),
        subject=("emne",),
        original=("opprinnelig melding", "original melding"),
        forwarded=("videresendt melding", "start på videresendt melding", "vidaresend melding"),
        footer=(
            r"sendt (?:fra|frå|med) (?:min |mitt )?D",
            r"(?:få|hent|last ned) outlook for (?:ios|android|mac)",
        ),
    ),
    "fi": Language(
        wrote=("kirjoitti", "kirjoittaa", "lainaus"),
        sender=("lähettäjä",),
        sent=("lähetetty", "päivämäärä", "pvm", "päiväys"),
        to=("vastaanottaja",),
        copy=("kopio", "liitteet", "vastausosoite"),
        subject=("aihe",),
        original=("alkuperäinen viesti",),
        forwarded=("edelleenlähetetty viesti", "välitetty viesti", "välitetty viesti alkaa"),
        footer=(
            r"lähetetty D\S{0,6}",
            r"hanki outlook (?:for )?(?:ios|android|mac)\S*",
        ),
    ),
    "cs": Language(
        opens=("dne", "dňa", "po", "út", "st", "čt", "pá", "so", "ne"),
        wrote=("napsal", "napsala", "napsal(a)", "napísal", "napísala", "napísal(a)", "píše"),
        sender=("od", "odesílatel", "odosielateľ"),
        sent=("odesláno", "datum", "odoslané", "dátum"),
        to=("komu", "příjemce"),
        copy=("kopie", "kópia", "odpověď komu", "přílohy"),
        subject=("předmět", "věc", "predmet"),
        original=("původní zpráva", "původní e-mail", "pôvodná správa"),
        forwarded=(
            *("přeposlaná zpráva", "předávaná zpráva", "začátek přeposílané zprávy"),
            *("preposlaná správa", "přeposlaný e-mail"),
        ),
        footer=(
            r"(?:odesláno|odoslané) (?:z|ze|zo|pomocí) (?:mého |môjho )?D\S{0,3}",
            r"získat outlook pro (?:ios|android|mac)",
        ),
    ),
    "hu": Language(
        wrote=("írta", "ezt írta", "a következőt írta", "írt", "idézés"),
        sender=("feladó", "küldő"),
        sent=("elküldve", "dátum", "küldve", "küldés dátuma"),
        to=("címzett",),
        copy=("másolatot kap", "másolat", "titkos másolat"),
        subject=("tárgy",),
        original=("eredeti üzenet",),
        forwarded=("továbbított üzenet", "továbbított levél", "továbbított üzenet kezdete"),
        footer=(
            r"(?:az |a )?D\S{0,6} küldve",
            r"elküldve (?:az |a )?D\S{0,6}",
        ),
    ),
    "ro": Language(
        opens=("în", "in", "pe", "la"),
        wrote=("a scris", "scrie", "citat din"),
        sender=("de la", "expeditor"),
        sent=("trimis", "data", "dată", "trimis la"),
        to=("către", "catre", "la"),
        copy=("cc", "răspuns la"),
        subject=("subiect", "subiectul"),
        original=("mesaj original", "mesajul original"),
        forwarded=("mesaj redirecționat", "mesaj transmis mai departe", "mesaj retransmis"),
        footer=(r"trimis (?:de pe|din|de la|cu) ?D\S{0,5}(?: meu)?",),
    ),
    "el": Language(
        opens=("στις", "την", "τη"),
        wrote=("έγραψε", "έγραψαν", "γράφει", "παράθεση"),
        sender=("από", "αποστολέας"),
        sent=("στάλθηκε", "ημερομηνία", "εστάλη"),
        to=("προς", "παραλήπτης"),
        copy=("κοιν.", "κοινοποίηση"),
        subject=("θέμα",),
        original=("αρχικό μήνυμα",),
        forwarded=("προωθημένο μήνυμα", "μήνυμα που προωθήθηκε", "αρχή προωθημένου μηνύματος"),
        footer=(r"(?:στάλθηκε|εστάλη|αποστολή) από (?:το |τη )?D(?: μου)?",),
    ),
    "he": Language(
        opens=("בתאריך", "ב"),
        wrote=("כתב", "כתבה", "כתב/ה", "מאת", "כתב\u200f/ה"),
        sender=("מאת",),
        sent=("נשלח", "תאריך", "נשלח בתאריך"),
        to=("אל", "לכבוד"),
        copy=("עותק", "העתק"),
        subject=("נושא", "הנדון"),
        original=("הודעה מקורית", "ההודעה המקורית"),
        forwarded=("הודעה שהועברה", "הודעה מועברת", "תחילת ההודעה שהועברה"),
        footer=(r"נשלח מ(?:ה|מכשיר ה)?[-־]?D(?: שלי)?",),
    ),
    "ar": Language(
        opens=("في", "بتاريخ", "فى"),
        wrote=("كتب", "كتبت", "كتب/ت", "تمت كتابة ما يلي", "كتبه"),
        sender=("من", "المرسل"),
        sent=("تاريخ الإرسال", "أرسلت", "التاريخ", "تم الإرسال", "تاريخ"),
        to=("إلى", "الى"),
        copy=("نسخة", "نسخة إلى"),
        subject=("الموضوع",),
        original=("الرسالة الأصلية", "رسالة أصلية"),
        forwarded=("رسالة مُعاد توجيهها", "رسالة معاد توجيهها", "بداية الرسالة المعاد توجيهها"),
        footer=(r"(?:أُرسلت|أرسلت|مرسل|تم الإرسال) من (?:الـ|جهاز|هاتف)? ?D\S{0,4}",),
    ),
    "vi": Language(
        opens=("vào",),
        wrote=("đã viết", "viết"),
        sender=("từ", "người gửi"),
        sent=("đã gửi", "ngày", "ngày gửi", "date"),
        to=("đến", "tới", "người nhận"),
        copy=("cc",),
        subject=("chủ đề", "tiêu đề"),
        original=("thư gốc", "tin nhắn gốc", "thư ban đầu"),
        forwarded=("thư đã chuyển tiếp", "tin nhắn được chuyển tiếp", "thư chuyển tiếp"),
        footer=(r"(?:đã )?(?:được )?gửi từ D(?: của tôi)?",),
    ),
    "id": Language(
        opens=("pada",),
        wrote=("menulis", "menuliskan", "tulis"),
        sender=("dari",),
        sent=("dikirim", "tanggal", "terkirim"),
        to=("kepada", "ke"),
        copy=("cc",),
        subject=("subjek", "perihal", "hal"),
        original=("pesan asli", "pesan awal"),
        forwarded=("pesan terusan", "pesan yang diteruskan", "pesan diteruskan"),
        footer=(r"dikirim dari D(?: saya)?",),
    ),
    "th": Language(
        opens=("ในวันที่", "เมื่อ", "วันที่"),
        wrote=("เขียนว่า", "เขียน", "ได้เขียนว่า"),
        sender=("จาก",),
        sent=("ส่ง", "วันที่", "ส่งเมื่อ", "วันที่ส่ง"),
        to=("ถึง",),
        copy=("สำเนา", "สําเนา"),
        subject=("เรื่อง", "หัวเรื่อง", "ชื่อเรื่อง"),
        original=("ข้อความต้นฉบับ", "ข้อความเดิม"),
        forwarded=("ข้อความที่ส่งต่อ", "ข้อความส่งต่อ"),
        footer=(r"ส่งจาก ?D(?: ?ของฉัน)?",),
    ),
}


@cache
def words(kind: str) -> frozenset[str]:
    """The words of one kind, a field of `Language`, in all languages, case folded."""
    return frozenset(word.casefold() for each in LANGUAGES.values() for word in getattr(each, kind))


@cache
def footers() -> tuple[str, ...]:
    """The forms of footers in all languages."""
    return tuple(sorted({form for each in LANGUAGES.values() for form in each.footer}))
