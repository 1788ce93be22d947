"""Pictures in the page: embedded, with contours over them, or a box that says why not; text is text."""

import base64
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from lxml import html
from support import reports
from support.pictures import illustrated

import crlm_qc.report
from crlm_qc.model.picture import Contour, Frame, Gap, Hatch, Picture, no_picture
from crlm_qc.model.plain import PlainError
from crlm_qc.model.report import Report
from crlm_qc.report.html import folder, render
from crlm_qc.report.json_format import render as render_json


def page(report: Report, files: dict[str, bytes] | None = None) -> Any:
    return html.document_fromstring(render(report, pictures=files))


def test_pictures_are_in_the_page_with_their_contours() -> None:
    report, files = illustrated()
    found = page(report, files)
    images = found.xpath("//div[@class='film']/img")
    assert [image.get("src") for image in images] == [
        f"data:image/webp;base64,{base64.b64encode(content).decode()}" for content in files.values()
    ]
    assert images[0].get("alt") == report.pictures[0].alt
    assert (images[2].get("width"), images[2].get("height")) == ("384", "200")
    (first, _, third) = found.xpath("//div[@class='film']/svg")
    assert first.get("viewbox") == "0 0 3840 3840"
    assert first.get("aria-hidden") == "true"
    assert [path.get("class") for path in first.xpath("path")] == ["contour liver", "contour tumour", "bar-line"]
    assert first.xpath("path")[0].get("d") == report.pictures[0].contours[0].path
    assert [text.text for text in first.xpath("text")] == ["L", "T1", "50 mm", "R", "A", "L", "P"]
    assert first.xpath("rect[@class='gap']") == []
    assert len(third.xpath("rect[@class='gap']")) == 1
    groups = [len(group.xpath("figure|div")) for group in found.xpath("//div[@class='film-group']")]
    assert groups == [2, 1, 1, 1]


def marked() -> tuple[Report, dict[str, bytes]]:
    """A picture with a hatching and a frame, and one with a gap that is named."""
    report, files = illustrated()
    hatch = Hatch("M1100 1100l200 0 0 200 -200 0z", "what Tumor_1 and Tumor_2 share")
    first = replace(report.pictures[0], hatches=(hatch,), frame=Frame(1000, 1000, 400, 400), bar=900, bar_mm=10.0)
    third = replace(report.pictures[2], gaps=(Gap(900, 60, "gap 1.6 mm", 740), Gap(960, 40, "gap 2 mm")), level=500)
    return replace(report, pictures=(first, report.pictures[1], third)), files


def test_what_is_hatched_framed_and_boxed() -> None:
    found = page(*marked())
    first, second, third = found.xpath("//div[@class='film']/svg")
    (hatch,) = first.xpath("path[@class='hatch']")
    assert hatch.get("d") == marked()[0].pictures[0].hatches[0].path
    assert hatch.get("fill") == "url(#film-hatch)"
    assert len(found.xpath("//*[@id='film-hatch']")) == 1
    (frame,) = first.xpath("rect[@class='frame']")
    assert [frame.get(name) for name in ("x", "y", "width", "height")] == ["1000", "1000", "400", "400"]
    assert first.xpath("string(text[@class='bar-text'])") == "10 mm"
    assert second.xpath("rect[@class='frame']|path[@class='hatch']") == []
    assert len(third.xpath("rect[@class='gap']")) == 2
    # The arrow points from what is written to the box; where there is no room nothing is written.
    assert [text.text for text in third.xpath("text[@class='gap-text']")] == ["gap 1.6 mm"]
    (arrow,) = third.xpath("path[@class='gap-arrow']")
    assert arrow.get("d") == "M3380 680h120L3440 885z"
    assert {side.get("y") for side in third.xpath("text[@class='side']")[::2]} == {"500"}
    legend = " ".join(" ".join(found.xpath("//ul[@class='film-legend']//text()")).split())
    assert "hatched: what two masks share" in legend
    lead = found.xpath("string(//h3[@id='pictures']/following-sibling::p)")
    assert "A white frame marks" in lead
    assert "Boxes in reformats are gaps" in lead


def test_the_legend_explains_nothing_that_is_not_there() -> None:
    report, files = illustrated()
    found = page(replace(report, pictures=report.pictures[:2]), files)
    assert found.xpath("//*[@id='film-hatch']") == []
    said = found.xpath("string(//section[@id='patients'])")
    assert not any(word in said for word in ("hatched", "white frame", "Boxes in reformats"))


def test_a_saved_report_with_a_hatching_that_is_no_path() -> None:
    report, files = marked()
    bad = replace(report.pictures[0], hatches=(Hatch('M0 0"><script>alert(1)</script>', "x"),))
    found = page(replace(report, pictures=(bad,)), files)
    assert found.xpath("//svg/path[@class='hatch'][@d]") == []


def test_marks_are_saved_and_read_again() -> None:
    report, files = marked()
    again = Report.from_dict(json.loads(render_json(report)))
    assert list(again.pictures) == list(report.pictures)
    assert render(again, pictures=files) == render(report, pictures=files)


def test_an_older_file_whose_pictures_have_no_marks_is_read() -> None:
    raw = json.loads(render_json(illustrated()[0]))
    for picture in raw["pictures"]:
        for name in ("bar_mm", "hatches", "frame", "level"):
            del picture[name]
        picture["gaps"] = [{"y": gap["y"], "height": gap["height"]} for gap in picture["gaps"]]
    again = Report.from_dict(raw)
    assert [picture.bar_mm for picture in again.pictures] == [50.0] * 5
    assert render_json(again) == render_json(illustrated()[0])


def test_letters_and_lines_not_colour_alone_tell_segments_apart() -> None:
    legend = " ".join(page(*illustrated()).xpath("//ul[@class='film-legend']//text()"))
    assert "liver, solid" in legend
    assert "tumours, dash-dotted" in legend
    assert "remnant" not in legend
    style = (Path(crlm_qc.report.__file__).parent / "html" / "report.css").read_text(encoding="utf-8")
    dashes = {
        line.split("{")[0].strip(): line.partition("stroke-dasharray: ")[2].split(";")[0]
        for line in style.splitlines()
        if line.startswith(".contour")
    }
    assert len(dashes) == len(set(dashes.values())) == 5


def test_boxes() -> None:
    said = [
        " ".join(box.text_content().split()) for box in page(*illustrated()).xpath("//*[contains(@class,'no-film')]")
    ]
    assert said == [
        "No picture of Gone: its file was not found.",
        "No picture: the images have overlay planes, which may hold text: none is shown.",
    ]
    without = page(illustrated()[0]).xpath("//*[contains(@class,'no-film')]")
    assert len(without) == 5


def test_the_album_names_its_findings() -> None:
    report, files = illustrated()
    (first, _) = page(report, files).xpath("//article")
    assert first.get("id") == "i-CRLM-CT-1001"
    assert [link.get("href") for link in first.xpath(".//h4/a")] == ["#p-CRLM-CT-1001", "#CTS008-CRLM-CT-1001"]


def test_findings_lead_to_their_pictures() -> None:
    report, files = illustrated()
    (link,) = page(report, files).xpath("//table[contains(@class,'findings')]//a[.='pictures']")
    assert link.get("href") == "#i-CRLM-CT-1001"


def test_notes_stand_among_what_was_not_checked() -> None:
    assert "Pictures are 256 pixels wide." in page(illustrated()[0]).xpath("string(//section[@id='limits'])")
    assert "pictures" not in page(reports.clean()).xpath("string(//section[@id='limits'])")


def test_a_report_without_pictures_has_no_such_section() -> None:
    assert page(reports.sample()).xpath("//*[@id='pictures']") == []


def elements(found: Any) -> Iterator[tuple[str, tuple[str, ...]]]:
    for element in found.iter():
        if isinstance(element.tag, str):
            yield element.tag, tuple(sorted(element.attrib))


def test_text_is_escaped() -> None:
    report, files = illustrated()

    def with_text(text: str) -> Report:
        one = replace(
            report.pictures[0], title=text, caption=text, alt=text, sides=(text,) * 4,
            contours=(Contour(1, text, "liver", text, 1, 1),), gaps=(Gap(1, 1, text, 1),), hatches=(Hatch("", text),),
        )  # fmt: skip
        box = no_picture(text, (), text)
        return replace(report, pictures=(one, box), picture_notes=(text,))

    plain, hostile = page(with_text("x"), files), page(with_text(reports.HOSTILE), files)
    assert list(elements(plain)) == list(elements(hostile))
    assert not hostile.xpath("//script[contains(text(), 'alert')]")


def test_the_folder_has_the_pictures_as_files() -> None:
    report, files = illustrated()
    written = folder.render(report, pictures={**files, "../../escape.webp": b""})
    assert {name for name in written if name.startswith("pictures/")} == {f"pictures/{name}" for name in files}
    found = html.document_fromstring(str(written["index.html"]))
    assert [image.get("src") for image in found.xpath("//div[@class='film']/img")] == [
        f"pictures/{name}" for name in files
    ]


def test_saved_and_read_again() -> None:
    report, files = illustrated()
    raw = json.loads(render_json(report))
    schema = json.loads((Path(crlm_qc.report.__file__).parent / "findings.schema.json").read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator(schema).validate(raw)
    again = Report.from_dict(raw)
    assert list(again.pictures) == list(report.pictures)
    assert render(again, pictures=files) == render(report, pictures=files)
    assert render_json(again) == render_json(report)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"file": "../../secret.webp"}, "NAME.webp"),
        ({"file": "a/b.webp"}, "NAME.webp"),
        ({"file": "a.png"}, "NAME.webp"),
        (
            {"contours": [{"segment": 1, "letter": "L", "role": "liver", "path": 'M0 0"><script>', "x": 1, "y": 1}]},
            "closed lines",
        ),
    ],
)
def test_a_tampered_file_is_refused(change: dict[str, Any], said: str) -> None:
    raw = json.loads(render_json(illustrated()[0]))
    raw["pictures"][0].update(change)
    with pytest.raises(PlainError, match=said):
        Report.from_dict(raw)


def test_an_older_file_without_pictures_is_read() -> None:
    raw = json.loads(render_json(reports.sample()))
    del raw["pictures"], raw["picture_notes"]
    assert Report.from_dict(raw).pictures == ()
    assert isinstance(illustrated()[0].pictures[0], Picture)
