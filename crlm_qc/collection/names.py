"""Names of persons after a title, in running text of any case and script.

MR, DR and MS are modalities and milliseconds more often than titles, and what stands after a title may be a word of
imaging: `MR LIVER`, `Dr view`. A name that is missed is told by other rules in most cases, and a false alarm on every
series of a release by none, so where nothing tells them apart, nothing is said.
"""

from __future__ import annotations

import re
import unicodedata
from functools import cache
from typing import Final

FILE: Final = "words_of_dicom.txt"

_TITLES = (
    "mrs|prof|professor|professeur|profesor|professore|dott|dottore?|dottoressa|dra|docteur|frau|herrn?|monsieur|madame|mme|"
    "mlle|mademoiselle|se\N{LATIN SMALL LETTER N WITH TILDE}ora?|srta|signora?|signore|dhr|mevr|mevrouw|meneer|pani|fru|"
    "sr|sra|sig|hr"
)
"""Titles that are little else; those of two or three letters need a point, a capital letter and a name in small ones."""
_MODALITIES: Final = frozenset({"dr", "mr", "ms", "doctor", "doktor", "miss"})
_SHORT: Final = frozenset({"sr", "sra", "sig", "hr", "fru", "dra", "dhr"})
_CYRILLIC = (
    "\u0434-\u0440|\u0434\u0440|\u0434\u043e\u043a\u0442\u043e\u0440|\u043f\u0440\u043e\u0444|"
    "\u043f\u0440\u043e\u0444\u0435\u0441\u0441\u043e\u0440|\u0433-\u043d|\u0433-\u0436\u0430|"
    "\u0433\u043e\u0441\u043f\u043e\u0434\u0438\u043d|\u0433\u043e\u0441\u043f\u043e\u0436\u0430"
)
"""Doctor, professor, Mr and Mrs in Russian, Ukrainian and Bulgarian."""
_GREEK = "\u03b4\u03c1|\u03ba\u03b1\u03b8\u03b7\u03b3\u03b7\u03c4\u03ae\u03c2"

_TITLE = re.compile(
    rf"(?<![^\W_])(?<![/&+-])(?P<title>{_TITLES}|{'|'.join(sorted(_MODALITIES))}|{_CYRILLIC}|{_GREEK})"
    # A point, a colon or space; further titles, and initials.
    r"(?P<gap>[.:](?:-Ing\.)?[\s_^]{0,4}|[\s_^]{1,4})"
    r"(?P<more>(?:(?:dr|prof|med|dent|rer|nat|phil|habil|h\. ?c)(?:\.\s*|\s+)){0,4})"
    r"(?P<initials>(?:[^\W\d_](?:\.\s*|\s+)){0,3})"
    r"(?P<word>[^\W\d_](?=['\N{RIGHT SINGLE QUOTATION MARK}-]?[^\W\d_])[^\W\d_]*(?:['\N{RIGHT SINGLE QUOTATION MARK}-][^\W\d_]+)*)",
    re.IGNORECASE,
)
_BEFORE = re.compile(r"(?<![^\W_])([^\W\d_]+)[\s_:=(,.-]{1,4}$")
_LEADING = """
by for per from via attn cc ref refer referring referred requested requesting ordered ordering reported read reviewed dictated
signed seen performed attending physician surgeon radiologist consultant patient pt operator dear call called
von durch fuer fur bei par pour chez por para da dal door voor av przez dla
"""
_LEADS_TO_A_PERSON: Final = frozenset(_LEADING.split())
"""Words after which a person is named."""
_LEADS_TO_A_DOCTOR: Final = frozenset({"with", "to", "and", "of"})
"""Words after which a doctor is named; MR is a modality after them."""
_IMAGING_TEXT = """
abdomen abdominal adrenal anatomy angio ankle anonymous aorta apex artery arthro axial bone bowel brain breast cardiac carotid conditional
cervical chest clavicle colon contrast coronal cranium cspine detector dixon elbow exam examination excel extremity face facial
femur field film finger foot forearm fusion guided hand head heart hip humerus image images imaging kidney knee lateral left leg
liver lower lspine lumbar lung lungs mandible mode name neck none office oblique orbit orbits order outlook pancreas panel
patient pelvic pelvis phase portable prostate protocol radius report request ribs right room routine safe scan scanner screen
sequence series shoulder sinus skull slices spine spleen sternum study technique thigh thoracic thorax tibia tspine ulna unknown unsafe
upper uterus vascular vein view views whole windows word wrist
leber becken schadel knie kopf hals schulter oberbauch wirbelsaule oberschenkel unterschenkel oberarm unterarm hufte fuss
sprunggelenk ellenbogen handgelenk niere nieren milz galle herz brust kiefer gesicht ganzkorper hypophyse
foie bassin crane genou poumon rachis epaule cheville poignet hanche coude main pied sein coeur rein reins rate cerveau cou
higado torax cerebro columna rodilla hombro mano pie cadera tobillo muneca codo cuello mama corazon rinon craneo
fegato addome encefalo cranio ginocchio spalla piede anca polso gomito collo mammella cuore rene reni colonna
lever buik bekken schedel schouder hersenen wervelkolom heup enkel pols elleboog voet nek borst nier
lunge lungen bukken hjerne hjarna rygg axel backen buk nacke hjarta kna kne
joelho ombro tornozelo quadril punho cotovelo coluna pelve figado coracao brzuch brzucha glowa glowy kolano
wirbelsaeule schaedel huefte ganzkoerper
mit ohne und nach aus avec sans et con senza sin
achieva aera agfa airis avanto canon carestream echelon esaote espree excelart fuji fujifilm gyroscan hitachi hologic ingenia
intera kodak konica magnetom optima philips prisma samsung shimadzu siemens signa skyra sola symphony titan toshiba trio vantage
verio vida
"""
_IMAGING: Final = frozenset(_IMAGING_TEXT.split())
"""Words of imaging, its makers and machines, of several languages and without accents, that no spelling with capital letters makes a name."""
_ENDINGS = re.compile(
    r"(?:graph(?:y|ie|ic|ies)|gram[ms]?|scop(?:y|ic)|metry|tomy|ectomy|plasty|tion|tions|sis|itis|oma|omas|logy|pathy|pancreatography)$"
)
"""How words of medicine end, and hardly a name."""
_VOWEL = re.compile("[aeiouy\u00c0-\u024f\u0370-\u04ff]")

_AROUND = 64
"""Characters before and after a name that are looked at."""
_MOST_AFTER = 1
"""Words after a name that stands alone after its title: another name."""

_HAN = "[\u4e00-\u9fff]"
_ASIAN = re.compile(
    # Of two to four characters, at the beginning or after what is none of them; roles are no names.
    rf"(?<!{_HAN})(?!{_HAN}{{0,4}}(?:\u62c5\u5f53|\u4e3b\u6cbb|\u62a5\u544a|\u5831\u544a|\u8bca\u65ad|\u8a3a\u65ad|\u8aad\u5f71|"
    "\u5ba1\u6838|\u5be9\u6838|\u7533\u8bf7|\u7533\u8acb|\u4f9d\u983c|\u5c02\u9580|\u68c0\u67e5|\u6aa2\u67fb|\u64cd\u4f5c|"
    "\u60a3\u8005|\u5f71\u50cf|\u653e\u5c04|\u4e3b\u4efb|\u52a9\u7406|\u5ba2\u5ea7|\u79d1))"
    rf"{_HAN}{{1,4}} ?(?:\u5148\u751f|\u5973\u58eb|\u533b\u751f|\u91ab\u751f|\u533b\u5e2b|\u91ab\u5e2b|\u5927\u592b|\u6559\u6388|"
    "\u535a\u58eb|\u5c0f\u59d0|\u3055\u3093)"
    # A role, a colon and a name.
    rf"|(?:\u533b\u751f|\u91ab\u751f|\u533b\u5e2b|\u91ab\u5e2b|\u6280\u5e08|\u6280\u5e2b|\u59d3\u540d|\u6c0f\u540d) ?[:\uff1a] ?{_HAN}{{2,4}}"
    # Korean: a teacher, professor or doctor; roles are no names.
    "|(?<![\uac00-\ud7a3])(?!\ub2f4\ub2f9|\ud658\uc790|\uc8fc\uc784|\uc9c0\ub3c4|\uc758\uc0ac|\ubcf4\ud638\uc790)"
    "[\uac00-\ud7a3]{2,4} ?(?:\uc120\uc0dd\ub2d8|\uad50\uc218\ub2d8|\uad50\uc218|\ubc15\uc0ac|\uc6d0\uc7a5)"
    # Arabic, Hebrew, Hindi and Thai, which have no capital letters.
    "|(?<!\\w)(?:\u0627\u0644)?(?:\u062f\u0643\u062a\u0648\u0631\u0629?|\u0633\u064a\u062f\u0629?|\u062f\\.) ?[\u0621-\u064a]{2,}"
    "|(?<!\\w)(?:\u05d3[\"\u05f4']\u05e8|\u05e4\u05e8\u05d5\u05e4'?) [\u05d0-\u05ea]{2,}"
    "|(?:\u0921\u0949\\.?|\u0936\u094d\u0930\u0940(?:\u092e\u0924\u0940)?) ?[\u0900-\u097f]{2,}"
    "|(?:\u0e19\u0e1e\\.|\u0e1e\u0e0d\\.|\u0e14\u0e23\\.) ?[\u0e00-\u0e7f]{2,}"
)


def names_somebody(text: str) -> bool:
    """Whether a text names a person after a title (or, as in Japanese, before it).

    Parameters
    ----------
    text : str
        A text of any language.

    Returns
    -------
    bool
        False where what follows a title is a word of imaging, or where a title may be a modality.
    """
    return any(_is_name(match) for match in _TITLE.finditer(text)) or (
        not text.isascii() and _ASIAN.search(text) is not None
    )


def _is_name(match: re.Match[str]) -> bool:
    title, word = match["title"].casefold(), _plain(match["word"])
    if word in _IMAGING:
        return False
    written, shape = _shape(match["title"]), _shape(match["word"])
    dotted = "." in match["gap"]
    if written == shape == "Title":
        # `Dr Roe`; the short titles are words of other languages.
        return dotted or title not in _SHORT
    if title in _SHORT or _is_word(word):
        return False
    if shape == "lower" or title == "ms" or (title in _MODALITIES and written == "UPPER"):
        return _leads(match, dotted=dotted)
    return True


def _leads(match: re.Match[str], *, dotted: bool) -> bool:
    """Whether what stands around a title says that it has none of its other meanings."""
    title, before = match["title"].casefold(), match.string[max(0, match.start() - _AROUND) : match.start()].rstrip()
    if before[-1:].isdigit():
        # Milliseconds.
        return False
    if match["initials"] or match["more"] or (dotted and title in ("dr", "doctor", "doktor")):
        return True
    if not before or before[-1] in ".;:,(-/":
        # `MR. ROE`, and `MR ROE` alone: with more words it may be the description of a series.
        said = re.split("[.,;:(]", match.string[match.end() : match.end() + _AROUND], maxsplit=1)[0]
        rest = re.findall(r"[^\W\d_]+", said)
        alone = title != "ms" and _shape(match["word"]) == "UPPER" and len(rest) <= _MOST_AFTER
        return dotted or alone
    last = _BEFORE.search(match.string[max(0, match.start() - _AROUND) : match.start()])
    leads = _LEADS_TO_A_PERSON if title in ("mr", "ms") else _LEADS_TO_A_PERSON | _LEADS_TO_A_DOCTOR
    return last is not None and _plain(last[1]) in leads


def _shape(word: str) -> str:
    """How a word is written: `Title`, `UPPER` or `lower`."""
    return "UPPER" if word.isupper() else "Title" if word[0].isupper() else "lower"


def _is_word(plain: str) -> bool:
    """Whether a word is one of imaging or medicine, or an abbreviation that can't be spoken."""
    parts = re.split(r"['\N{RIGHT SINGLE QUOTATION MARK}-]", plain)
    return bool(_ENDINGS.search(plain)) or not _VOWEL.search(plain) or any(part in words_of_dicom() for part in parts)


def _plain(word: str) -> str:
    """A word in small letters without accents."""
    folded = unicodedata.normalize("NFKD", word.casefold())
    return "".join(character for character in folded if not unicodedata.combining(character))


@cache
def words_of_dicom() -> frozenset[str]:
    """Words of the names of DICOM's attributes and coded concepts, in small letters, common surnames left out."""
    from crlm_qc.collection.resources import expectations_folder

    lines = (expectations_folder() / FILE).read_text(encoding="utf-8").splitlines()
    return frozenset(word for line in lines if not line.startswith("#") for word in line.split())
