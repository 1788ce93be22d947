# ruff: noqa: RUF001 - names of other scripts
"""Names after a title are found in any case and script, and the vocabulary of imaging is left alone."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crlm_qc.collection.names import names_somebody, words_of_dicom

NAMES = """
for Dr Roe
for Dr. Roe
for dr roe
FOR DR ROE
for DR. ROE
seen by dr. roe
by Prof. Roe
BY PROF ROE
by prof roe
by Professor Roe
per Mr. Roe
PER MR ROE
for mr roe
MR ROE
MR. ROE
MR. RICHARD ROE
MR RICHARD ROE
DR ROE
DR. ROE
Mr Roe
Mrs Roe
MRS ROE
mrs. roe
Ms. Roe
by Ms Roe
BY MS ROE
Dr. King
Dr. White
Dr.Roe
Dr_Roe
dr. r. roe
Dr. R. Roe
FOR MR J ROE
for MR. J. ROE
Dr. med. Roe
Prof. Dr. med. Roe
PROF. DR. ROE
Frau Roe
FRAU MÜLLER
Frau Dr. Müller
von Frau Müller
Herr Roe
HERRN ROE
für Dr. Müller
Monsieur Dupont
MME DUPONT
pour Mme Dupont
Señora García
SEÑOR GARCÍA
Sr. García
para Sra. Pérez
Dott. Rossi
dott.ssa
Signora Rossi
Dhr. Jansen
mevrouw jansen, door mevrouw jansen
DISCUSSED WITH DR ROE
REPORTED TO DR. ROE
CT ABD FOR DR ROE
CT abdomen, ref Dr O'Roe
reviewed by Dr Łukasiewicz
LIVER TRIPHASIC PER DR. ROE
(Dr Roe)
CALL DR. ROE
OFFICE OF DR ROE
ORDERING MD: DR ROE
for Mr. Roe's CT
DR JOHN ROE
PROF. DR. HANS MÜLLER
CT ABD - DR ROE
CT LIVER, MR ROE
Ref: Dr Roe
ATTN DR ROE
д-р Иванов
Доктор Иванов
ПРОФ. ИВАНОВ
г-жа Иванова
Δρ. Παπαδόπουλος
王先生
田中先生
田中太郎先生
山田さん
王医生
李教授
报告医生:王伟
报告医生：王伟
LIVER 3PH DR JONES
LIVER 3 DR JONES
CT LIVER DR JONES
CT LIVER DR THOMAS
ABD PROF DR DE VRIES
ABD DR DE VRIES
dr. van der Berg
Dr. van der Berg
DR VAN DER BERG
Dr De Luca
Mr von Stein
read by J. Doe MD
READ BY J DOE MD
read by Jane Doe, MD
by Doe MD
J. Doe M.D.
Jane Doe PhD
JANE DOE MD
R. Roe, Ph.D.
DR NG
Dr. Ng
DR LI
Dr Ma
Dr. J. Read
Dr. Campbell
Dr. Chang
Dr White
Dr Ward
Dr. Day-Lewis
Dr. O'Brien
Mw. de Jong
врач Иванов
ВРАЧ ИВАНОВ
врач-рентгенолог Иванов
лікар Шевченко
홍길동 교수님
김철수 선생님
د. أحمد
الدكتور أحمد
ד"ר כהן
डॉ. शर्मा
""".strip().splitlines()
NOT_NAMES_OF = {"dott.ssa"}

NOBODY = """
MR LIVER
MR. LIVER
MR ABDOMEN W WO CONTRAST
Mr Liver
mr liver
FOR MR LIVER
by MR imaging
BY MR IMAGING
for MR guided biopsy
FOR MR GUIDED BIOPSY
with MR correlation
compare to MR Abdomen
COMPARED WITH MR. STABLE LESIONS
Compared to prior MR. Therefore no follow-up
No prior MR. Recommend MRCP
MR ENTEROGRAPHY
MR CHOLANGIOPANCREATOGRAPHY
FOR MR ENTEROGRAPHY
MR MRCP
MR T SPINE
MR L SPINE WO
MR T2 HASTE
MR DIXON
MR LEBER
MR SCHÄDEL
MR OBERSCHENKEL
IRM FOIE
MR HÍGADO
CT/MR Fusion
CT DR ABDOMEN
MR VIBE
Mr Vibe
mr vibe
MR HASTE
MR LAVA
MR FLASH
MR FLAIR
MR STIR
MR PROPELLER
MR SPACE
MR TRUFI
MR FIESTA
MR MPRAGE
MR BLADE
MR THRIVE
MR DWI
MR ADC
MR VIBE DIXON
MR SAG STIR
MR COR HASTE
MR AX LAVA
DR LAT
DR PA
DR AP
DR OBL
DR DECUB
Dr Lat
Dr. Lat
CHEST 2V DR LAT
DR AX
Mr Perfusion
Mr Spectroscopy
Dr. Read
Dr Upright
DR BEDSIDE
DR AND CT
Dr X-Ray
Mr White Point
Mr Gray Scale
MR DISCOVERY
Professor de Radiologia
ВРАЧ КТ
ВРАЧ КАБИНЕТА
DR DE TORAX
MR DE HOMBRO
DTI MD
MEAN DIFFUSIVITY MD
FA ADC MD
REFERRING MD
ordering MD
BY MD
by outside MD
T SPINE MD
MW ablation
врач рентгенолог
ВРАЧ РЕНТГЕНОЛОГ
врач-рентгенолог
MR SIEMENS AERA
FOR MR SIEMENS
DR FUJI
IM LIVER MR. COMPARISON
FRAU MIT METASTASEN
MISS ROI
near miss lesion
profile dr
QUALITY OF DR IMAGES
CT - MR LIVER
CT, MR SPECTROSCOPY
PET-MR Roe
MR safe
MR CONDITIONAL
MR UNSAFE DEVICE
DR ABDOMEN
DR CHEST PA
DR CHEST
DR. no name
Dr. no name
Dr view
DR VIEW
Dr Chest
DR DETECTOR
BY DR DETECTOR
DR PANEL 43X43
CR/DR
DR THORAX
DR KNIE
120 ms
120 ms exposure
exposure 500 ms. delayed
5 ms later
MS PROTOCOL
MS WINDOWS
Ms Protocol
MS LESIONS
HISTORY OF MS
64 MS CT
PROFILE
prof of radiology
Professor of Radiology
PROFESSOR OF RADIOLOGY
PATIENT WITH LIVER METASTASES
Frau mit Lebermetastasen
doctor's request
DOCTOR NAME
sr
SR document
SR DOCUMENT
Hr. values
HR 72
HR CT
sig
da und dort
MD ANDERSON PROTOCOL
M. psoas
CHEST/ABD/PEL
Bind(17095/4/277..465)
担当医師
担当先生
报告医生
主治医生
放射線科医師
患者さん
すりガラス様陰影
同様の所見
肝転移
담당 교수
환자
печень
КТ брюшной полости
""".strip().splitlines()


@pytest.mark.parametrize("text", [name for name in NAMES if name not in NOT_NAMES_OF])
def test_names_after_a_title(text: str) -> None:
    assert names_somebody(text)
    assert names_somebody(f"CT ABDOMEN; {text}")
    assert names_somebody(f"{text}, portal venous phase")


@pytest.mark.parametrize("text", NOBODY)
def test_the_vocabulary_of_imaging(text: str) -> None:
    assert not names_somebody(text)
    assert not names_somebody(f"CT {text}")


@given(st.sampled_from(sorted(words_of_dicom())), st.sampled_from(["MR", "DR", "MS", "mr", "dr", "ms"]))
def test_no_word_of_dicom_is_a_name_after_a_modality(word: str, modality: str) -> None:
    for before, form in itertools.product(("", "FOR ", "by "), (str.upper, str.lower)):
        assert not names_somebody(f"{before}{modality} {form(word)}")


@given(st.text(max_size=200))
def test_any_text_can_be_looked_at(text: str) -> None:
    assert names_somebody(text) in (True, False)


def test_long_texts_are_looked_at_in_no_time() -> None:
    for text in ("Dr " * 40_000, "dr. " * 40_000, "MR A. " * 20_000, "王" * 100_000, "prof med " * 20_000):
        names_somebody(text)
