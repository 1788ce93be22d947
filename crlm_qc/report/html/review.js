// Review: from one case to the next, a decision on each, and two files to download. Nothing else is kept.
(() => {
  "use strict";
  const dialog = document.querySelector("dialog.review");
  if (!dialog) return;
  const one = (selector) => dialog.querySelector(selector);
  const start = document.querySelector(".review-start");
  const form = one("form");
  const fields = form.elements;
  const refused = dialog.dataset.refused.split(" ");

  // A step is a case, or what is the same in most patients: findings, of each row that tells them the first, and one
  // decision for them all.
  const load = () => dialog.dataset.list.split(" ").map((step) => {
    const findings = step.split(",").map((mark) => {
      const place = document.getElementById(`f-${mark}`);
      const row = place.closest("tr");
      const patient = place.dataset.patient === "-" ? "" : place.dataset.patient;
      return { mark, place, row, rule: row.cells[1].textContent.trim(), patient };
    });
    const told = findings.filter(({ row }, at) => findings.findIndex((other) => other.row === row) === at);
    const patients = [...new Set(findings.map(({ patient }) => patient))];
    return { findings, told, patients, decision: "", reason: "", until: "", note: "" };
  });
  let steps = [];
  let at = 0;
  let saved = true;

  const radio = (value) => [...fields.decision].find((choice) => choice.value === value);
  const decided = (item) => item.decision !== "" && (item.decision !== "accept" || item.reason !== "");
  const refuses = (item) => item.findings.some(({ rule }) => refused.includes(rule));
  const progress = () => {
    const said = `${steps.filter(decided).length.toLocaleString("en")} of ${steps.length.toLocaleString("en")} decided`;
    // Said again only where it is news.
    if (one(".review-progress").textContent !== said) one(".review-progress").textContent = said;
    start.querySelector("span").textContent = said;
    fields.reason.setAttribute("aria-invalid", fields.decision.value === "accept" && !fields.reason.value.trim());
  };
  const made = (name, text, type = "p") => {
    const element = document.createElement(type);
    element.className = name;
    element.textContent = text;
    return element;
  };
  const copies = (elements) => [...elements].map((element) => element.cloneNode(true));
  // What is said of a finding, without links, which lead to what lies behind the dialog.
  const said = ({ place, row }) => {
    const shared = place.hasAttribute("data-own") ? [] : row.cells[3].childNodes;
    const own = place === row ? [] : place.childNodes;
    const found = made("review-what", "", "div");
    const told = [...shared, ...own].filter((node) => !["A", "DETAILS"].includes(node.nodeName));
    found.append(...copies(row.cells[0].childNodes), ` ${row.cells[1].textContent.trim()} `, ...copies(told));
    for (const link of found.querySelectorAll("a")) link.replaceWith(link.textContent);
    return found;
  };

  const show = (next) => {
    at = Math.max(0, Math.min(next, steps.length - 1));
    const item = steps[at];
    const { findings: [{ rule }], patients } = item;
    const who = patients.length > 1 ? `${patients.length} patients` : patients[0] || "release";
    const told = document.getElementById(`r-${rule}`);
    const title = told?.querySelector(".title").textContent ?? "";
    one(".review-name").textContent = `${at + 1} of ${steps.length}: ${who}, ${rule} ${title}`;
    const [lead, ...also] = item.told.map((finding) => {
      const [expected, observed] = [4, 5].map((column) => finding.row.cells[column].textContent);
      return [said(finding), made("note", `Expected: ${expected}. Observed: ${observed}.`)];
    });
    one(".review-found").replaceChildren(...lead);
    one(".review-also").replaceChildren(...also.flat());
    one(".review-fix").textContent = told ? `What to do: ${told.querySelector(".to-do").textContent}` : "";
    const films = item.told.flatMap(({ mark }) => [...document.querySelectorAll(`#patients [data-shows~="${mark}"]`)]);
    one(".review-films").replaceChildren(...copies(new Set(films)));
    one(".review-films").hidden = films.length === 0;
    one("[data-act=zoom]").disabled = films.length === 0;
    for (const name of ["reason", "until", "note"]) fields[name].value = item[name];
    radio(item.decision).checked = true;
    radio("accept").disabled = refuses(item);
    radio("exclude").disabled = patients.length > 1 || !patients[0];
    one(".review-refused").hidden = !refuses(item);
    one(".review-body").scrollTop = 0;
    one(".review-name").focus();
    progress();
  };
  const keep = () => {
    const item = steps[at];
    for (const name of ["decision", "reason", "until", "note"]) item[name] = fields[name].value.replace(/\s+/g, " ").trim();
    saved = false;
    progress();
  };
  const decide = (value) => {
    const choice = radio(value);
    if (choice.disabled) return;
    choice.checked = true;
    choice.focus();
    keep();
    if (value === "accept") fields.reason.focus();
  };
  const zoom = () => {
    const films = one(".review-films");
    if (films.hidden) return;
    one("[data-act=zoom]").setAttribute("aria-pressed", films.classList.toggle("zoomed"));
    films.scrollIntoView({ block: "start" });
    films.focus();
  };

  // A basic string of TOML is one of JSON, but for DEL and halves of a character.
  const quoted = (text) => JSON.stringify(text.replace(/[\ud800-\udfff]/gu, "\ufffd")).replaceAll("\x7f", "\\u007F");
  const day = () => {
    const now = new Date();
    return [now.getFullYear(), now.getMonth() + 1, now.getDate()].map((part) => String(part).padStart(2, "0")).join("-");
  };
  const waivers = () => steps.filter((item) => item.decision === "accept" && decided(item)).flatMap((item) => item.findings.map(
    ({ mark, rule, patient }) => [
      "[[waiver]]",
      `rule = ${quoted(rule)}`,
      ...(patient ? [`patients = [${quoted(patient)}]`] : []),
      `fingerprint = ${quoted(mark)}`,
      `reason = ${quoted(item.reason)}`,
      `date = ${day()}`,
      ...(item.until ? [`until = ${item.until}`] : []),
      "",
    ].join("\n"),
  )).join("\n");
  // What a spreadsheet would take for a formula begins with an apostrophe.
  const cell = (text) => `"${(/^\s*[=+\-@\uff1d\uff0b\uff0d\uff20]/.test(text) ? `'${text}` : text).replaceAll('"', '""')}"`;
  const decisions = () => [
    ["fingerprint", "rule", "patient", "decision", "reason", "until", "note"],
    ...steps.filter((item) => decided(item) || item.note).flatMap((item) => item.findings.map(
      ({ mark, rule, patient }) => [mark, rule, patient, decided(item) ? item.decision : "", item.reason, item.until, item.note],
    )),
  ].map((line) => line.map(cell).join(",")).map((line) => `${line}\r\n`).join("");
  // Whether waivers.toml alone tells all that was decided.
  const accepted = () => steps.every((item) => !item.note && (item.decision ? item.decision === "accept" && decided(item) : true));
  const download = (name, text, type, whole) => {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([text], { type: `${type};charset=utf-8` }));
    link.download = name;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10000);
    saved ||= whole;
  };

  const acts = {
    close: () => dialog.close(),
    back: () => show(at - 1),
    next: () => show(at + 1),
    zoom,
    waivers: () => download("waivers.toml", waivers(), "application/toml", accepted()),
    decisions: () => download("decisions.csv", decisions(), "text/csv", true),
  };
  const keys = {
    j: acts.next,
    k: acts.back,
    z: zoom,
    a: () => decide("accept"),
    m: () => decide("mend"),
    x: () => decide("exclude"),
    u: () => decide(""),
    n: () => fields.note.focus(),
  };
  dialog.addEventListener("click", (event) => {
    const button = event.target.closest("[data-act]");
    if (button) acts[button.dataset.act]();
  });
  dialog.addEventListener("keydown", (event) => {
    event.stopPropagation();
    const writes = event.target.matches("textarea, input:not([type=radio], [type=checkbox])");
    const key = event.key.toLowerCase();
    if (writes || !fields.keys.checked || event.ctrlKey || event.metaKey || event.altKey || !Object.hasOwn(keys, key)) return;
    event.preventDefault();
    keys[key]();
  });
  form.addEventListener("input", (event) => { if (event.target.name !== "keys") keep(); });
  form.addEventListener("submit", (event) => { event.preventDefault(); acts.next(); });
  addEventListener("beforeunload", (event) => { if (!saved) event.preventDefault(); });
  start.querySelector("button").addEventListener("click", () => {
    if (!steps.length) steps = load();
    fields.until.min = day();
    dialog.showModal();
    show(at);
  });
  start.hidden = false;
})();
