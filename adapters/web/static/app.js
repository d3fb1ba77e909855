// What htmx leaves to the page: dialogs, questions before what can't be undone,
// problems, times in the reader's time zone, and the panes of the demo.
"use strict";

const byId = (id) => document.getElementById(id);

const tellTimes = (root) => {
  for (const time of root.querySelectorAll("time[datetime]")) {
    const text = new Date(time.dateTime).toLocaleString(undefined, { dateStyle: "medium", timeStyle: "short" });
    if (time.textContent !== text) time.textContent = text;
  }
};

const refresh = () => {
  const live = byId("live");
  if (live) htmx.trigger(live, "usher:refresh");
};

// A form that was sent for is shown as a dialog.
document.addEventListener("htmx:afterSwap", (event) => {
  const form = byId("dialog-form");
  if (form && event.target === form && form.firstElementChild) {
    if (!byId("dialog").open) byId("dialog").showModal();
    form.querySelector("input:not([type=hidden]), textarea, select")?.focus();
  }
});

document.addEventListener("htmx:afterSettle", () => tellTimes(document));

byId("dialog")?.addEventListener("close", () => byId("dialog-form").replaceChildren());

document.addEventListener("usher:done", () => {
  byId("dialog")?.close();
  refresh();
});

// What a form became takes the place of the form, so that going back does not
// lead to a form that was sent.
document.addEventListener("usher:filed", (event) => {
  const { at } = event.detail;
  if (event.target.closest("dialog")) location.assign(at);
  else location.replace(at);
});

// Problems stand at their inputs already; the inputs say so too.
document.addEventListener("usher:corrected", () => {
  let first = null;
  for (const problem of document.querySelectorAll("[id^='problem-']")) {
    const input = byId(problem.id.slice("problem-".length));
    if (!input) continue;
    if (problem.textContent) {
      input.setAttribute("aria-invalid", "true");
      first ??= input;
    } else {
      input.removeAttribute("aria-invalid");
    }
  }
  first?.focus();
});

document.addEventListener("htmx:confirm", (event) => {
  const { title, text, yes, no } = event.detail.elt.dataset;
  if (!title) return;
  event.preventDefault();
  const dialog = byId("confirm");
  byId("confirm-title").textContent = title;
  byId("confirm-text").textContent = text;
  dialog.querySelector("[data-answer=yes]").textContent = yes;
  dialog.querySelector("[data-answer=no]").textContent = no;
  dialog.returnValue = "no";
  dialog.onclose = () => {
    if (dialog.returnValue === "yes") event.detail.issueRequest(true);
  };
  dialog.showModal();
});

document.addEventListener("click", (event) => {
  const button = event.target.closest("button");
  if (!button) return;
  if (button.dataset.answer) byId("confirm").close(button.dataset.answer);
  if ("dismiss" in button.dataset) byId("told").replaceChildren();
  if ("close" in button.dataset) {
    const dialog = button.closest("dialog");
    if (dialog) dialog.close();
    else history.back();
  }
});

// Searching again keeps what was chosen.
document.addEventListener("htmx:beforeSwap", (event) => {
  const list = event.detail.target;
  if (!(list instanceof HTMLSelectElement)) return;
  const chosen = [...list.selectedOptions].map((option) => option.cloneNode(true));
  list.addEventListener("htmx:afterSwap", () => {
    for (const option of chosen.reverse()) {
      const same = [...list.options].find((other) => other.value === option.value);
      if (same) same.selected = true;
      else {
        list.prepend(option);
        option.selected = true;
      }
    }
  }, { once: true });
});

// A pane shows whom its reader chose.
document.addEventListener("change", (event) => {
  if (event.target.matches("[data-pane]")) {
    const frame = event.target.closest("section").querySelector("iframe");
    frame.src = event.target.value;
  }
});

tellTimes(document);
