// Sort, search and filter of a list. Rows carry what they may be sorted by in data-*; the table stands without this.
for (const form of document.querySelectorAll("form[data-list]")) {
  const table = document.getElementById(form.dataset.list);
  const body = table.tBodies[0];
  const said = form.querySelector("output");
  const hebrew = new Intl.Collator("he");
  const show = () => {
    const asked = form.elements.search.value.trim();
    let shown = 0;
    for (const row of body.rows) {
      const fits = [...form.querySelectorAll("select")].every((one) => !one.value || row.dataset[one.name] === one.value);
      row.hidden = !(fits && row.dataset.name.includes(asked));
      shown += row.hidden ? 0 : 1;
    }
    said.textContent = `מוצגים ${shown} מתוך ${said.dataset.of}`;
  };
  const sort = (head) => {
    const key = head.dataset.sort;
    const isNumber = head.classList.contains("n");
    const now = head.getAttribute("aria-sort");
    const down = now === "ascending" || (now === "none" && isNumber); // of numbers the largest first
    for (const other of table.tHead.querySelectorAll("[data-sort]")) other.setAttribute("aria-sort", "none");
    head.setAttribute("aria-sort", down ? "descending" : "ascending");
    const of = (row) => row.dataset[key];
    const rows = [...body.rows].sort((a, b) => {
      if (of(a) === "" || of(b) === "") return (of(a) === "") - (of(b) === "");
      const order = isNumber ? of(a) - of(b) : hebrew.compare(of(a), of(b));
      return (down ? -order : order) || hebrew.compare(a.dataset.name, b.dataset.name);
    });
    body.append(...rows);
  };
  for (const head of table.tHead.querySelectorAll("[data-sort]")) {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = head.textContent;
    button.addEventListener("click", () => sort(head));
    head.replaceChildren(button);
  }
  form.addEventListener("input", show);
  form.addEventListener("submit", (event) => event.preventDefault());
  form.hidden = false;
  show();
}
