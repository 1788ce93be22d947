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
    "sr|sra|sig|hr|mw"
)
"""Titles that are little else; those of two or three letters need a point, a capital letter and a name in small ones."""
_MODALITIES: Final = frozenset({"dr", "mr", "ms", "doctor", "doktor", "miss"})
_SHORT: Final = frozenset({"sr", "sra", "sig", "hr", "fru", "dra", "dhr", "mw"})
_CYRILLIC = (
    "\u0434-\u0440|\u0434\u0440|\u0434\u043e\u043a\u0442\u043e\u0440|\u043f\u0440\u043e\u0444|"
    "\u043f\u0440\u043e\u0444\u0435\u0441\u0441\u043e\u0440|\u0433-\u043d|\u0433-\u0436\u0430|"
    "\u0433\u043e\u0441\u043f\u043e\u0434\u0438\u043d|\u0433\u043e\u0441\u043f\u043e\u0436\u0430"
)
"""Doctor, professor, Mr and Mrs in Russian, Ukrainian and Bulgarian."""
_PHYSICIAN: Final = "\u0432\u0440\u0430\u0447|\u043b\u0456\u043a\u0430\u0440|\u043b\u0435\u043a\u0430\u0440"
"""Physician, a profession: a field of medicine may follow it, and is no name."""
_FIELD = re.compile(
    "^.{1,3}$|^(?:\u043a\u0430\u0431\u0438\u043d\u0435\u0442|\u043e\u0442\u0434\u0435\u043b\u0435\u043d|\u043f\u043e\u0434\u043f\u0438\u0441|\u0434\u0438\u0430\u0433\u043d\u043e\u0441\u0442|\u0440\u0435\u043d\u0442\u0433\u0435\u043d|\u043f\u0430\u0446\u0438\u0435\u043d\u0442|\u043a\u043e\u043d\u0441\u0443\u043b\u044c\u0442|\u043e\u0440\u0434\u0438\u043d\u0430\u0442\u043e\u0440)"
    "|(?:\u043b\u043e\u0433|\u0443\u0440\u0433|\u0435\u0432\u0442|\u0438\u0441\u0442|\u0430\u0442\u0440|\u0442\u043e\u0440|\u0438\u044f|\u0438\u0438|\u0438\u043a\u0438|\u043d\u044b\u0439|\u043d\u043e\u0439)\u0430?$"
)
"""Fields of medicine and other words after it, and how they begin or end in Russian."""
_IS_PHYSICIAN = re.compile(_PHYSICIAN)
_GREEK = "\u03b4\u03c1|\u03ba\u03b1\u03b8\u03b7\u03b3\u03b7\u03c4\u03ae\u03c2"

_PARTICLES: Final = (
    "van|von|vom|zu|zum|zur|der|den|de|het|ter|ten|del|della|di|da|dal|do|dos|das|du|la|le|las|los|el|al|bin|ibn|st\\."
)
"""What stands before a surname and belongs to it."""

_TITLE = re.compile(
    rf"(?<![^\W_])(?<![/&+-])(?P<title>{_TITLES}|{'|'.join(sorted(_MODALITIES))}|{_CYRILLIC}|(?:{_PHYSICIAN})(?:-[^\W\d_]+)?|{_GREEK})"
    # A point, a colon or space; further titles, and initials.
    r"(?P<gap>[.:](?:-Ing\.)?[\s_^]{0,4}|[\s_^]{1,4})"
    r"(?P<more>(?:(?:dr|prof|med|dent|rer|nat|phil|habil|h\. ?c)(?:\.\s*|\s+)){0,4})"
    r"(?P<initials>(?:[^\W\d_](?:\.\s*|\s+)){0,3})"
    rf"(?P<particles>(?:(?:{_PARTICLES})\s+){{0,3}})"
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
x-ray hospital clinic clinica clinique klinik klinikum universidad universidade universite medicina medecine medicine cirugia chirurgie surgery
"""
_IMAGING: Final = frozenset(_IMAGING_TEXT.split())
"""Words of imaging, its makers and machines, of several languages and without accents, that no spelling with capital letters makes a name."""
_ACRONYMS_TEXT = """
abd abdo abdominale abdominales abdominopelvien admire advised advises again agrees already also altea ambition amira
anon anonymised anonymized another architect aristos artefact artefacts arteriel arterielle arteriogram arthrogram
artist arzt asir asked asks aspir aufnahme aware axi axials axiom axl babygram bauch because beckenubersicht bed
bedside been befund biograph biphasic blade bolustracking bravo breathheld breathhold brivo bucky caipi caipirinha
call cardio cerebrale cervicale cervicali cholangio cholangiography cima ciss clinic compare console contrasted
coronals correlate corticomedullary could covering cubes cystogram cysts daily dec decub definium deidentified dens
dept dess dictated disco discovery discussed dotarem download drain dummy dwibs each either elan elasto elition
encefalica engineer enteroclysis enterogram enterography eovist equilibrium essenta even every exams excretory
explorer exported fame fatsat feridex ferumoxytol few ffe fiesta fisp fistulogram flair flex followup freebreathing
frogleg fse fsgre gadovist gadoxetic galan ganzaufnahme gehirn grappa grase gre grids gyne had haemangioma hands
harmony haste hepatica hepatico hepatique hepatocyte her hidden higados hips hirn however icu idose idrive imagery
impact innova install iqdwi irfse isotropic its jpeg just kidneys knees kub larger lat latl latr lats lava
liverprotocol loc localiser locs lombaire lombare loopogram lossless lowdose lumbaire lumina luminos manos masked
masses mast medic merge mets might minip mip mobilett monophasic mortise mprage mra mrspec msde multihance multiphase
multiphasic multiva multix musculo must mwa myelogram navi navigated neither neonate nephrographic neuro neusoft
newborn noncontrast nondiagnostic nor notified oasis obl obls odontoid oedema oesophagus onco opposed orian ortho our
outlet pacs paddlewheel paed paeds panorama pat pedi peds pelvica pelvico pelvien perf pies pioneer plates please
portabl portale portalvenous portovenous ports postcontrast postop precontrast premonitoring preop presto primovist
printed propeller prosat proset proteus pyelographic quadriphasic quick readers readings reads received recommends
recon redacted reformat reformats reformatted requests resolve restaging retrofit rfa ris rodillas rois runoff safire
sag sagittals said saver says scano scanogram scout scouts screenshot see semierect sempra several shall she shim
skyline smaller smartbrain smartprep smash softtissue some sonata spacer spair spectra spectro spir squad staff star
starvibe still stir such suite sunrise surestart surview swan swi swim swimmer swimmers tace tardive tba team
technician tfe that theater theatre their them then there therefore these they thick thicks thins thinslab thoracique
thoraxaufnahme those thrive tibfib tiger today toes tof tomorrow topo topogram torace toracica toracico towns tra
transcribed tricks trolley truefisp trufi tse tumors tumour tumours turbo turboflair twist uih unchanged unenhanced
ungated uniphasic unnamed untersuchung upload ureters uro urogram urography ute veineuse veineux venc venogram
venography veo vibe vision vista voyager wants ward warp was waterfat wats weightbearing were what where which while
will would xtable yesterday yet you your ysio zte
"""
_ACRONYMS: Final = frozenset(_ACRONYMS_TEXT.split())
"""Sequences, views and nouns of radiology that the names of DICOM's attributes lack, and small words of English."""
_SURNAMES_TEXT = """
albers albert alexander ashman bacon ball bauer berger bernard best bird black blackett blalock blanc bond bos boyd
brenner bruce bruno burns butterworth cai campbell chamberlain chan chang charles chow clements connor corso costa
cross day dexter dodd doubilet duke dunlap eriksen ewing fell fisk fitzpatrick fleischner flores fontan forrest frank
friedman friend fuchs gordon grand gray green grey gross ha ho hrk huang ingram kennedy ko krc lang le li lim little
lo long lu ly ma mark may mayer merino michel morgan murray nelson ng noir nolke norgaard norman nyberg oh olsen page
park peacock penner petit picard pierre pirie pitman pitt plott qi rastelli rath ray raynaud richardson
robert robertson roma rose rosen rosenberg runge russel russo rutherford salerno schiff schiller schuller shan sharp
sinclair srb star stecher sterling stone su sung sussman swan swann taussig teichholz thomas titterington
todaro tong velasquez villard vladimir vlk vo vu waldeyer wallis walls ward weisse welsh west white williams winston
wolf wood wu wynne xu ye yi yu zanelli zenker zobel
"""
_SURNAMES: Final = frozenset(_SURNAMES_TEXT.split())
"""Surnames that are words too, that end as words of medicine do, or that are short."""
_ENDINGS = re.compile(
    r"(?:graph(?:y|ie|ic|ies)|gram[ms]?|scop(?:y|ic)|metry|tomy|ectomy|plasty|tion|tions|sis|itis|oma|omas|logy|logi[ae]|pathy|pancreatography)$"
)
"""How words of medicine end, and hardly a name."""
_JOINTS = re.compile(r"['\N{RIGHT SINGLE QUOTATION MARK}-]")
"""What joins the parts of a word."""
_VOWEL = re.compile("[aeiouy\u00c0-\u024f\u0370-\u04ff]")

_DEGREE = re.compile(
    r"(?<![^\W_])(?:(?P<before>[^\W\d_]{2,40})[\s:]{1,4})?(?P<initials>(?:[^\W\d_](?:\.\s*|\s+)){0,3})"
    r"(?P<word>[^\W\d_](?:['\N{RIGHT SINGLE QUOTATION MARK}-]?[^\W\d_]){1,40}),?[\s_]{1,3}"
    r"(?:m\.d\.|md|ph\.\s?d\.?|phd|mbbs|frcr|frcpc)(?![^\W_])",
    re.IGNORECASE,
)
"""A person before a degree."""

_NEXT = re.compile(r"[ -]([^\W\d_]{1,40})")

_AROUND = 64
"""Characters before and after a name that are looked at."""
_SHORTEST = 3
"""Letters of a name that need not be a known one."""
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
    return (
        any(_is_name(match) for match in _TITLE.finditer(text))
        or any(_has_degree(match) for match in _DEGREE.finditer(text))
        or (not text.isascii() and _ASIAN.search(text) is not None)
    )


def _is_name(match: re.Match[str]) -> bool:
    title, word = match["title"].casefold(), _plain(match["word"])
    if word in _IMAGING:
        return False
    written, shape = _shape(match["title"]), _shape(match["word"])
    dotted = "." in match["gap"]
    if match["particles"] and _ENDINGS.search(word):
        # `Professor de Radiologia`.
        return False
    if _IS_PHYSICIAN.match(title):
        return shape != "lower" and not _FIELD.search(word)
    if written == shape == "Title":
        # `Dr Roe`, and not `Mr Perfusion`; the short titles are words of other languages.
        return (dotted or title not in _SHORT) and (title not in _MODALITIES or not _is_noun(match))
    if title in _SHORT or _is_word(word):
        return False
    if shape == "lower" or title == "ms" or (title in _MODALITIES and written == "UPPER"):
        return _leads(match, dotted=dotted)
    return True


def _is_noun(match: re.Match[str]) -> bool:
    """Whether a word with a capital letter is one of imaging, and no surname that nothing else tells from it."""
    told = match["more"] or match["particles"] or "." in match["initials"]
    parts = [part for part in _JOINTS.split(_plain(match["word"])) if len(part) > 1]
    if told or not all(_is_word(part) or part in _SURNAMES for part in parts):
        return False
    # `Mr White Point` names nobody, and `Dr White` and `Dr. White` do.
    follows = _NEXT.match(match.string, match.end())
    in_a_phrase = "." not in match["gap"] and follows is not None and _is_word(_plain(follows[1]))
    return in_a_phrase or not any(part in _SURNAMES for part in parts)


def _has_degree(match: re.Match[str]) -> bool:
    """Whether a degree follows a person: initials and a surname, two names, or a name after `by`."""
    word, before = _plain(match["word"]), _plain(match["before"] or "")
    if _is_no_person(word) or (word not in _SURNAMES and _is_word(word)):
        return False
    if match["initials"]:
        return "." in match["initials"] or _shape(match["word"]) != "lower"
    if not before or _shape(match["word"]) == "lower":
        return False
    if before in _LEADS_TO_A_PERSON:
        return _shape(match["word"]) == "Title"
    return _shape(match["before"]) == _shape(match["word"]) and not _is_no_person(before) and not _is_word(before)


def _is_no_person(plain: str) -> bool:
    return plain in _IMAGING or plain in _LEADS_TO_A_PERSON or plain in _LEADS_TO_A_DOCTOR


def _leads(match: re.Match[str], *, dotted: bool) -> bool:
    """Whether what stands around a title says that it has none of its other meanings."""
    title, before = match["title"].casefold(), match.string[max(0, match.start() - _AROUND) : match.start()].rstrip()
    if title in ("dr", "doctor", "doktor"):
        # No word of imaging follows it, and what is written with a capital letter is a name wherever it stands.
        if dotted or _shape(match["word"]) != "lower":
            return True
    elif before[-1:].isdigit():
        # Milliseconds.
        return False
    if match["initials"] or match["more"]:
        return True
    if not before or before[-1] in ".;:,(-/":
        # `MR. ROE`, and `MR ROE` alone: with more words it may be the description of a series.
        said = re.split("[.,;:(]", match.string[match.end() : match.end() + _AROUND], maxsplit=1)[0]
        rest = re.findall(r"[^\W\d_]+", said)
        alone = (
            title != "ms" and not match["particles"] and _shape(match["word"]) == "UPPER" and len(rest) <= _MOST_AFTER
        )
        return dotted or alone
    last = _BEFORE.search(match.string[max(0, match.start() - _AROUND) : match.start()])
    leads = _LEADS_TO_A_PERSON if title in ("mr", "ms") else _LEADS_TO_A_PERSON | _LEADS_TO_A_DOCTOR
    return last is not None and _plain(last[1]) in leads


def _shape(word: str) -> str:
    """How a word is written: `Title`, `UPPER` or `lower`."""
    return "UPPER" if word.isupper() else "Title" if word[0].isupper() else "lower"


def _is_word(plain: str) -> bool:
    """Whether a word is one of imaging or medicine, or an abbreviation that can't be spoken."""
    parts = _JOINTS.split(plain)
    if any(part in words_of_dicom() or part in _ACRONYMS for part in parts):
        return True
    strange = len(plain) == _SHORTEST - 1 or not _VOWEL.search(plain) or bool(_ENDINGS.search(plain))
    return strange and plain not in _SURNAMES


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
