(() => {
  "use strict";
  const one = (selector, within = document) => within.querySelector(selector);
  const all = (selector, within = document) => [...within.querySelectorAll(selector)];
  const toast = one(".toast");
  const form = one(".controls");
  const rows = all(".findings tbody tr");
  const texts = new Map();
  // A row may tell what is the same in many patients.
  const namesOf = new Map();
  const patientsOf = (row) => {
    if (row.dataset.patient !== undefined) return [row.dataset.patient];
    if (!namesOf.has(row)) namesOf.set(row, all(".alike .who", row).map((name) => name.textContent));
    return namesOf.get(row);
  };
  const textOf = (row) => {
    if (!texts.has(row)) texts.set(row, row.textContent.toLowerCase());
    return texts.get(row);
  };

  const say = (text, time = 2500) => {
    toast.textContent = text;
    clearTimeout(say.timer);
    say.timer = setTimeout(() => { toast.textContent = ""; }, time);
  };

  // Theme: follows the system until the button is pressed.
  const theme = one(".theme");
  const dark = matchMedia("(prefers-color-scheme: dark)");
  let scheme = dark.matches ? "dark" : "light";
  const label = () => { theme.textContent = scheme === "dark" ? "Light" : "Dark"; };
  theme.addEventListener("click", () => {
    scheme = scheme === "dark" ? "light" : "dark";
    document.documentElement.style.colorScheme = scheme;
    label();
  });
  label();
  theme.hidden = false;

  // Filters live in the fragment: #q=gap&severity=error&family=CTS.
  const FIELDS = ["q", "severity", "family", "patient", "state", "since"];
  const field = (name) => form && form.elements.namedItem(name);
  const stateOf = (name) => (field(name) ? field(name).value.trim() : "");
  const initial = (name) => (name === "state" && field(name) ? "open" : "");
  const filtered = () => FIELDS.some((name) => stateOf(name) !== initial(name));

  const apply = () => {
    if (!form) return;
    const words = stateOf("q").toLowerCase().split(/\s+/).filter(Boolean);
    const wanted = ["severity", "family", "since"].map((name) => [name, stateOf(name)]).filter(([, value]) => value);
    const [state, patient] = [stateOf("state"), stateOf("patient")];
    let shown = 0;
    for (const row of rows) {
      const mine = patient ? patientsOf(row).filter((name) => name === patient).length : patientsOf(row).length;
      const fits = mine > 0 && wanted.every(([name, value]) => row.dataset[name] === value)
        && (!state || state === "all" || row.dataset.state === state)
        && words.every((word) => textOf(row).includes(word));
      if (row.hidden === fits) row.hidden = !fits;
      if (fits) shown += mine;
    }
    one(".shown", form).textContent = `${shown.toLocaleString("en")} of ${rows.reduce((sum, row) => sum + patientsOf(row).length, 0).toLocaleString("en")} shown`;
    one(".nothing").hidden = shown > 0;
  };
  const remember = () => {
    const state = new URLSearchParams();
    for (const name of FIELDS) if (stateOf(name) !== initial(name)) state.set(name, stateOf(name));
    const text = state.toString();
    try {
      history.replaceState(null, "", text ? `#${text}` : location.pathname + location.search);
    } catch {
      // Some browsers refuse this for a page from disk; the filter works all the same.
    }
  };
  const set = (values) => {
    for (const name of FIELDS) if (field(name)) field(name).value = values[name] ?? initial(name);
    apply();
  };
  const fragment = () => {
    const raw = location.hash.slice(1);
    try {
      return decodeURIComponent(raw);
    } catch {
      return raw;
    }
  };
  const follow = () => {
    const hash = fragment();
    if (!hash) return;
    if (form && /^(q|severity|family|patient|state|since)=/.test(hash)) {
      set(Object.fromEntries(new URLSearchParams(location.hash.slice(1))));
      one("#findings").scrollIntoView();
      return;
    }
    const target = document.getElementById(hash);
    if (!target) {
      const [, rule, patient] = /^([A-Z]{3}\d{3})-(.+)$/.exec(hash) ?? [];
      say(rule ? `This page has no finding of ${rule} for ${patient === "release" ? "the release" : patient}.` : `This page has nothing at #${hash}.`, 8000);
      return;
    }
    if (target.closest("tr[hidden]")) {
      if (target.closest(".heat")) quiet(false);
      else set({ state: "all" });
    }
    for (let fold = target.closest("details"); fold; fold = fold.parentElement.closest("details")) fold.open = true;
    target.scrollIntoView({ block: "center" });
  };

  if (form) {
    form.hidden = false;
    form.addEventListener("input", () => { apply(); remember(); });
    form.addEventListener("reset", () => setTimeout(() => { set({}); remember(); }));
    form.addEventListener("submit", (event) => event.preventDefault());
    document.addEventListener("keydown", (event) => {
      if (event.key === "Escape" && filtered()) { set({}); remember(); }
    });
    document.addEventListener("click", (event) => {
      const link = event.target.closest("a[data-query], a[data-patient], a[data-family]");
      if (!link) return;
      event.preventDefault();
      set({ q: link.dataset.query, patient: link.dataset.patient, family: link.dataset.family });
      remember();
      one("#findings").scrollIntoView();
    });
    apply();
  }
  // Heat map: order, and patients with findings alone.
  const heat = one(".heat-controls");
  const heatRows = all(".heat tbody tr");
  const quiet = (only) => {
    if (!heat) return;
    heat.elements.namedItem("only").checked = only;
    for (const row of heatRows) row.hidden = only && row.hasAttribute("data-quiet");
    const shown = heatRows.filter((row) => !row.hidden).length;
    one(".heat-shown").textContent = `${shown.toLocaleString("en")} of ${heatRows.length.toLocaleString("en")} rows shown`;
  };
  if (heat) {
    const byName = [...heatRows].sort((a, b) => (a.dataset.name < b.dataset.name ? -1 : a.dataset.name > b.dataset.name ? 1 : 0));
    heat.hidden = false;
    heat.addEventListener("input", () => {
      one(".heat tbody").append(...(heat.elements.namedItem("order").value === "patient" ? byName : heatRows));
      quiet(heat.elements.namedItem("only").checked);
    });
    heat.addEventListener("submit", (event) => event.preventDefault());
    quiet(false);
  }

  // Sorting: a button in every heading.
  const valueOf = (row, column) => {
    const cell = row.cells[column];
    return cell ? cell.dataset.value ?? cell.textContent.trim() : "";
  };
  const number = (text) => (/^-?[\d,]+(\.\d+)?( of \d+)?$/.test(text) ? parseFloat(text.replaceAll(",", "")) : NaN);
  const compare = (first, second) => {
    const [a, b] = [number(first), number(second)];
    if (!Number.isNaN(a) && !Number.isNaN(b)) return a - b;
    if (Number.isNaN(a) !== Number.isNaN(b)) return Number.isNaN(a) ? 1 : -1;
    return first < second ? -1 : first > second ? 1 : 0;
  };
  for (const table of all("table[data-sortable]")) {
    const heads = all("thead th", table);
    heads.forEach((head, column) => {
      if (head.hasAttribute("data-fixed")) return;
      const button = document.createElement("button");
      button.type = "button";
      button.append(...head.childNodes);
      head.append(button);
      head.setAttribute("aria-sort", "none");
      button.addEventListener("click", () => {
        const down = head.getAttribute("aria-sort") === "ascending";
        for (const other of heads) if (other.hasAttribute("aria-sort")) other.setAttribute("aria-sort", "none");
        head.setAttribute("aria-sort", down ? "descending" : "ascending");
        const keyed = [...table.tBodies[0].rows].map((row) => [valueOf(row, column), row]);
        keyed.sort((a, b) => (down ? -1 : 1) * compare(a[0], b[0]));
        // Half as long as to append them, which takes every row out by itself.
        table.tBodies[0].replaceChildren(...keyed.map(([, row]) => row));
      });
    });
  }

  const copy = async (text, area) => {
    try {
      await navigator.clipboard.writeText(text);
      say("Copied.");
    } catch {
      const held = area ?? document.body.appendChild(document.createElement("textarea"));
      if (held.value !== text) held.value = text;
      held.select();
      say(area ? "Selected: press Ctrl+C to copy." : document.execCommand("copy") ? "Copied." : "This browser does not let the page copy.");
      if (!area) held.remove();
    }
  };
  const button = (text, act) => {
    const made = document.createElement("button");
    made.type = "button";
    made.textContent = text;
    made.addEventListener("click", act);
    return made;
  };

  // Patient lists: copy as lines, as an option of the command line, or for Python.
  for (const box of all(".patients-list")) {
    const area = one("textarea", box);
    const names = () => area.defaultValue.split("\n");
    box.append(
      button("Copy lines", () => copy(names().join("\n"), area)),
      button("Copy as --patients", () => copy(`--patients ${names().join(",")}`)),
      button("Copy as Python list", () => copy(JSON.stringify(names()).replaceAll(",", ", "))),
    );
  }
  for (const line of all(".command")) line.append(button("Copy", () => copy(one("code", line).textContent)));
  const listed = one(".copy-patients");
  if (listed) {
    listed.addEventListener("click", () => {
      const names = rows.filter((row) => !row.hidden).flatMap(patientsOf).filter((name) => name !== "-");
      copy([...new Set(names)].sort().join("\n"));
    });
  }

  // Print unfolded, and fold it again: all but what is one line on paper, or not on it.
  let opened = [];
  addEventListener("beforeprint", () => {
    opened = all("details:not([open], .patients-list, .as-table, .rule.passed, .rule.skipped)");
    for (const fold of opened) fold.open = true;
  });
  addEventListener("afterprint", () => {
    for (const fold of opened) fold.open = false;
  });

  addEventListener("hashchange", follow);
  follow();
})();
