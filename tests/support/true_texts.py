"""Texts that quote nothing, though they look like it here and there: nothing of them is cut."""

TRUE_TEXTS = {
    "temperature": "Temperature\n> 40 C in room 2",
    "bill": "Facture\nDe : 100 EUR\nDate : 12/12/2026\nÀ : payer",
    "bill with a time": "Facture\nDe : 100 EUR\nDate : 12/12/2026 10:00\nÀ : payer",
    "menu": "Menu:\n--\nSoup",
    "dashes between": "Monday\n-----\nTuesday\n--\nWednesday\n---\nThursday",
    "prices": "Copper\n> 9,500 USD/t\nNickel\n> 16,200 USD/t",
    "steps": "To restart:\n> open the panel\n> press R\nthen call me",
    "prompt": "Run this:\n> systemctl restart app\nand tell me",
    "shell": "$ df -h\n/dev/sda1 93% > /var/log/full\n>>> done",
    "thresholds": "CPU > 90 %\n>= 95 % for 5 min on web1",
    "arrows": "-> gate B12\n>> boarding 10:40",
    "chevrons": ">>> URGENT <<<\nCall 4711",
    "journey": "From: Brussels\nTo: Paris\nDate: 12/12/2026 10:00",
    "journey with all": "From: Brussels\nDate: 12/12/2026\nTo: Paris\nSubject: train 9321",
    "journey fr": "De : Bruxelles\nÀ : Paris\nDate : 12/12/2026 10:00\nVoie : 3",
    "form": (
        "New message from the site\nFrom: jean@example.org\nDate: 05/01/2026 10:00\n"
        "Subject: Price\nMessage: call me at 10:00"
    ),
    "form without colon below": (
        "New contact\nFrom: jean@example.org\nDate: 05/01/2026 10:00\nSubject: Price\n\nCall me"
    ),
    "ticket": (
        "Reporter: Jean <jean@example.org>\nCreated: 2026-01-05 10:00\nTicket: 4711\n"
        "Priority: high\n\nThe printer is broken"
    ),
    "monitoring": (
        "** PROBLEM **\nHost: web1\nTime: 2026-01-05 10:00\nContact: ops <ops@example.org>\n"
        "State: DOWN"
    ),
    "nagios": (
        "***** Nagios *****\n\nNotification Type: PROBLEM\nHost: web1\nState: DOWN\n"
        "Address: 192.0.2.1\nDate/Time: Mon Jan 5 10:00:00 CET 2026\n\nAdditional Info:\n\nCRITICAL"
    ),
    "zabbix": "Problem started at 10:00:12 on 2026.01.05\nProblem name: High load\nSeverity: High",
    "cron": "Subject: Cron <root@host>\nDate: 2026-01-05 10:00\nbackup failed: exit 1",
    "backup": "Backup report\n2026-01-05 02:00 root@host.example.org:\nok 41 GB\nfailed 0",
    "at the end": "Write until 12/12/2026 10:00 to info@example.org:",
    "before a quote": "Alarm 10:00 at gate@site.example.org:\n> 40 C",
    "two lines before it": "Meeting 10:00, ask jean@example.org\nPrices:\n> 10 EUR",
    "he wrote": "On Monday he wrote:\nno",
    "wrote with date": "On 5 January 2026 the boss wrote:\nNo parking at 10:00",
    "wrote with address": "Le 5/1 à 10:00 jean@example.org a écrit :\nvenez vite",
    "the cat": "Le chat a écrit :\nmiaou",
    "wrote before a number": "Sie schrieb:\n> nein",
    "schedule": "Op maandag:\n10:00 team\n11:00 jean@example.org bellen:\n12:00 lunch",
    "minutes": "Agenda 5/1/2026:\n- budget\n- staff:\n  two more\n- end 12:00:",
    "addresses": "Jean <jean@example.org>\nMarie <marie@example.org>\n10:00 in room 2",
    "calendar": "Event: Review\nWhen: 2026-01-05 10:00\nWhere: room 2\nWho: jean@example.org",
    "login": "Login from new device\nTime: 2026-01-05 10:00\nUser: jean@example.org\nWas it you?",
    "order": "Order 4711\nDe: Depot 3\nPara: Cliente\nFecha: 12/12/2026\nTotal: 12,50",
    "order de": "Von: Lager 3\nAn: Filiale\nDatum: 12.12.2026\nBetreff: Regal",
    "sent from": "Sent from the office",
    "sent from a crane": "Unload at 10:00\nSent from mobile crane 3, please unload",
    "sent with": "Keys are on the way\nSent with Jean",
    "sent from my iphone": "Sent from my iPhone was what he said\nNo?",
    "envoyé": "Colis envoyé de Paris\nEnvoyé par la Poste",
    "verzonden": "Pakket\nVerzonden met PostNL",
    "gesendet": "Paket\nGesendet von Lager 3",
    "sent from a warehouse": "Two pallets\n\nSent from Samsung warehouse in Ghent",
    "sent from the galaxy": "Film tonight\nSent from the far galaxy of Orion",
    "outlook": "Get Outlook licence for Jean",
    "rule": "a\n__________\nb",
    "rule and labels": "a\n__________\nTotal: 12\nVAT: 21 %",
    "rule of dashes": "Results\n--------------------\nHome: 2\nAway: 1",
    "original": "Original message: come at 8",
    "forwarded": "Forwarded message follows by post",
    "answer options": "Vote:\n1: yes\n2: no\nUntil: 12/12/2026 10:00",
    "code": "if a > b:\n    return a\n> b",
    "yaml": "from: a@example.org\nto: b@example.org\nwhen: 2026-01-05 10:00\nretries: 3",
    "log": "2026-01-05 10:00:01 ERROR login jean@example.org:\n  bad password\n  from 192.0.2.1",
    "log of two": "10:00 jean@example.org: hello\n10:01 marie@example.org: hi:\n10:02 end",
    "phone list": "Jean: 0494 00 00 01\nMarie: 0494 00 00 02\nDate: 5/1",
    "recipe": "Pasta:\n> 500 g flour\n> 5 eggs\n\n-- serves 4 --",
    "double dash": "Hello --\n--- x",
    "signature without its blank": "Hello\n--\nJean",
    "wishes": "Le 5 janvier à 10:00 :\nbonne année !",
    "chinese": "通知：\n> 40 度\n时间：2026年1月5日 10:00",
    "russian": "Встреча 05.01.2026 в 10:00:\n> взять паспорт",
    "japanese": "明日 10:00：\n> 会議室2",
    "arabic": "الموعد 5/1/2026 10:00:\nغرفة 2",
    "greek": "Από: Αθήνα\nΠρος: Πάτρα\nΗμερομηνία: 12/12/2026 10:00",
    "markdown": "Deploy:\n> note: at 10:00\n* done",
    "smiley": ">:-( no heating",
    "gt only": ">\n> a\n>",
}
#: Those that stay even in an answer: there lines with `>` are quotes.
STAY_IN_ANSWERS = [
    *("bill", "menu", "dashes between", "journey with all", "order", "order de", "rule", "zabbix"),
    *("he wrote", "the cat", "wrote with date", "schedule", "addresses", "calendar", "login"),
    *(
        "sent from",
        "sent from a crane",
        "sent with",
        "envoyé",
        "verzonden",
        "gesendet",
        "phone list",
    ),
    *("original", "forwarded", "answer options", "double dash", "signature without its blank"),
]
