"""Names of columns in nine languages, and what columns of these names hold."""

from __future__ import annotations

import re
import unicodedata

MATCH_ROLES = ("centre", "patient_id", "lesion_id", "visit", "accession")
"""Ids that a row and the path or the attributes of a file may have in common."""
_NUMBER = (
    r"(?: ?(?:id|ids|nr|no|n|num|number|nummer|numero|code|codigo|kennung|pseudonym|key|index))?"
)
_CONFIRMED = (
    "(?:final|gold|definit|endgult|verified|gesichert|bestatigt|confirm|abschliess|certain)"
)
_SUSPECTED = "(?:verdacht|suspe[ck]t|sospech|suspeit|klinisch|clinic|hypothe|referr|prelim|vorlauf)"
_NO_DIAGNOSIS = re.compile(
    r"(?:nummer|datum|date|nr|日期|时间|编号|号|日|医生|医师)$|^(?:date|datum|data|fecha|jour)\b|"
    r"\b(?:nr|no|n|num|number|numero|id|fecha|data|performed|done|realizad[ao]|durchgefuhrt|erfolgt|"
    r"available|vorhanden|method\w*|lab|labor|arzt|doctor|by|type)$|"
    r"^(?:nr|no|n|num|number|numero|id)\b"
)
"""Names about a diagnosis that do not hold it: its number, date, method or author."""
_NAMES: list[tuple[str, list[str]]] = [
    (
        "identity",
        [
            r"(?:patient(?:en)?|pat)? ?(?:sur|last|first|full|family|given|vor|nach|"
            r"familien)?names?",
            r"nome(?: (?:do|completo).*)?|nombre(?: (?:del?|completo).*)?|"
            r"apellidos?|sobrenome|prenom|nom",
            r"patient(?:en)? ?namen?|name (?:des|der) patient(?:en|in)?|nom du patient",
            r".*(?:geburt|birth|nascimento|nacimiento|naissance|\bdob\b|geb ?dat).*",
            r".*(?:e ?mail|telefon|phone|adress|address|direccion|endereco|strasse|street).*",
            r"姓名|患者姓名|病人姓名|出生日期|生日|电话|手机号?|地址|住址|身份证号?",
            r"氏名|患者名|患者氏名|名前|生年月日|电话番号|住所",
            r"성명|이름|환자 ?(?:이름|성명|명)|생년월일|전화 ?번호|연락처|주소|주민등록번호",
            r"(?:фио|фамилия|имя|отчество)(?: пациента)?|дата рождения|телефон|адрес|снилс",
        ],
    ),
    (
        "label",
        [
            r".*(?:isto(?!r)|pathol(?!ogist)|patol).*",
            r".*病理.*",
            rf".*{_CONFIRMED}.*diag.*|.*diag.*{_CONFIRMED}.*|.*(?:确诊|确定诊断|最终诊断).*",
            r"(?:haupt|main)?(?:diagnos[a-z]*|dx|diag|diagnostico|"
            r"diagnostic)(?: (?:code|name|text))?",
            r"(?!.*(?:临床|初步|入院|门诊|臨床|疑)).*诊断.*",
            r"label|labels|class|klasse|classe|clase|etiqueta|rotulo|etiquette|"
            r"target|entity|entitat",
            r"(?:final|path|histo) (?:dx|diag)|(?:dx|diag) (?:final|path|histo)|anapath",
            r"标签|类别|分类|金标准",
            r".*병리.*|.*조직검사.*|(?:최종 ?)?진단(?:명)?",
            r".*гистолог.*|(?:заключительныи )?диагноз",
            rf"(?!.*{_SUSPECTED}).*diagnos.*",
            r"categor\w*|kategorie|dignitat|benign.*malign.*|malign\w*(?: .*)?|icd ?(?:10|11)?",
            r".*diagnos.*|.*诊断.*",
        ],
    ),
    (
        "lesion_id",
        [
            rf"(?:lesion|laesion|lasion|lesao|lesione|lesions|mole|nevus|naevus|herd){_NUMBER}",
            r"(?:id|nr|no|n|num|number|numero|codigo|code)(?: (?:de|da|do|del|der|of|la))* "
            r"(?:lesione?|lasion|lesao|herd)",
            r"(?:皮损|病灶|病变|病损|皮疹)(?: ?(?:编号|号|序号|id|no|番号))?",
            r"병변(?: ?(?:번호|id))?|(?:ново)?образование|очаг",
            rf"(?:sample|probe|specimen|case|fall|caso|cas){_NUMBER}",
        ],
    ),
    (
        "patient_id",
        [
            rf"(?:patient|patienten|patients|pat|paciente|paziente|proband|probanden|subject|sujet|sujeto|"
            rf"participant|person|doente|utente)"
            rf"(?: ?(?:data|daten|info|information|details))?{_NUMBER}",
            r"(?:id|nr|no|n|num|number|numero|codigo|code|identifiant|pseudonym)"
            r"(?: (?:de|da|do|del|des|der|du|of))* ?(?:patient|patienten|paciente|paziente|"
            r"pat|proband|sujet|doente|utente)",
            r"(?:(?:no|n|nr|num|numero|numer)? ?(?:de |da |do )?)"
            r"(?:historia|historia clinica|hc|"
            r"expediente|dossier|akte|aktenzeichen|processo(?: clinico)?|registro|prontuario)",
            r"(?:pid|mrn|ipp|nhc|prontuario(?: no)?|historia clinica|pseudonym|medical record.*|"
            r"kis ?nr)",
            r"(?:患者|病人|病患|受试者)(?:基?本?(?:信息|资料))?"
            r"(?: ?(?:编号|号|序号|id ?号?|标识|no|番号))?|登记编号|就诊卡号|カルテ番号|症例番号"
            r"|病历号|住院号|门诊号|登记号|病案号",
            r"환자(?: ?(?:번호|id))?|등록 ?번호|병록 ?번호|(?:номер |id )?пациента?|номер карты",
        ],
    ),
    (
        "accession",
        [
            rf"(?:accession|acc|auftrag|auftrags|order|untersuchung|untersuchungs|exam|study|studie)"
            rf"{_NUMBER}",
            r"检查(?:编号|号|序号)|流水号",
        ],
    ),
    (
        "visit",
        [
            r"(?:visit|visite|visita|besuch|termin|timepoint|zeitpunkt|baseline|session)" + _NUMBER,
            r"(?!.*(?:histo|diagn|pathol|patol|biops|befund|病理|诊断|确诊))"
            r"(?:(?:datum|date|data|fecha|dat)(?: .*)?|.*(?:datum|date|日期|时间|日))",
        ],
    ),
    (
        "centre",
        [
            r"(?:centre|center|zentrum|centro|hospital|krankenhaus|klinik|klinikum|"
            r"standort|hopital|"
            r"institution|institut|institute|einrichtung|study site|site id|site|sitio|sheet)"
            + _NUMBER,
            r"中心|医院|机构|分中心|医院名称|中心编号",
        ],
    ),
    (
        "side",
        [
            r"side|laterality|seite|lateralitat|lado|lato|lateralidade?d?|cote|body side|"
            r"侧别|左右|左右别"
        ],
    ),
    ("split", [r"split|partition|subset"]),
    ("fold", [r"fold"]),
    (
        "modality",
        [
            r"modalit\w*|modalidad\w*|image ?type|bild ?typ|bild ?art|type|typ|tipo|"
            r"view|aufnahmeart"
            r"|模态|モダリティ|图像类型|检查类型|类型"
        ],
    ),
    (
        "id",
        [r"id|nr|no|n|num|number|nummer|numero|code|codigo|编号|序号|lfd ?nr|key|isic id|image id"],
    ),
]
FILE = re.compile(
    r"\.(jpe?g|jpe|jfif|png|tiff?|webp|bmp|gif|dcm|dicom|ima)(#\d+)?\s*$", re.IGNORECASE
)
FILE_COLUMN = re.compile(
    r"\b(?:files?|filename|datei(?:en|name)?|bild(?:er)?|bilddatei|images?|img|path|pfad|fichiers?|"
    r"archivos?|arquivos?|imagen(?:es)?|imagem|imagens|fotos?|photos?|scans?)\b|图像|影像|画像|图片|文件|档案|路径|照片|写真|ファイル|パス|사진|이미지|파일|фото|изображени|файл"
)


_KANA_MARKS = "\u3099\u309a"
"""Marks that make other letters of Japanese ones, as accents do not."""
_ITEM_NUMBER = re.compile(r"\s*(?:q|nr\.?|no\.?)?\s*\d+\s*[.):]\s+", re.IGNORECASE)
"""Number of a question before the name of a column."""
_SIMPLIFIED = str.maketrans(
    "診斷断編號檢検醫機構圖図檔徑標籤類別變変損臨聲鏡觀査電話",
    "诊断断编号检检医机构图图档径标签类别变变损临声镜观查电话",
)


def plain_name(name: str) -> str:
    """Return the name of a column in lower case, without accents and separators.

    Traditional Chinese characters of usual names become simplified ones, and so do Japanese ones.
    """
    text = unicodedata.normalize("NFKD", name.replace("ß", "ss")).casefold()
    text = "".join(c for c in text if not unicodedata.combining(c) or c in _KANA_MARKS)
    text = unicodedata.normalize("NFC", text)
    text = re.sub(r"(?<=[a-z])(?=\d)|(?<=\d)(?=[a-z])", " ", text)
    text = text.translate(_SIMPLIFIED)
    text = " ".join(re.sub(r"[^\w]|_", " ", text).split())
    return re.sub(r"\bn o\b", "no", text)  # N.º


def is_suspected(name: str) -> bool:
    """Return whether a column holds a diagnosis that was only suspected, by its name."""
    return bool(re.search(rf"{_SUSPECTED}|临床|初步|入院|疑", plain_name(name)))


def role_of(name: str) -> tuple[str, int]:
    """Return what a column holds by its name, and the rank of the name: 0 is the most certain."""
    camel = re.sub(r"(?<=[a-zäöü])(?=[A-Z])", " ", name)
    texts = [plain_name(name), plain_name(camel), plain_name(_ITEM_NUMBER.sub("", name))]
    if not name.isascii():  # in two languages: each has its letters
        texts += (
            plain_name(re.sub(other, " ", name)) for other in (r"[^\x00-\x7f]", r"[\x00-\x7f]")
        )
    for text in dict.fromkeys(texts):
        for role, patterns in _NAMES:
            for rank, pattern in enumerate(patterns):
                if text and re.fullmatch(pattern, text):
                    about = role == "label" and _NO_DIAGNOSIS.search(text)
                    if not about:
                        return role, rank
    return "", 0
