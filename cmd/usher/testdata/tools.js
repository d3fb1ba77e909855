// What the browser tests see with: things by their words, as people find them.
const toolsFor = (frame, scope) => {
  const outer = frame < 0 ? null : document.querySelectorAll("iframe")[frame];
  const doc = outer ? outer.contentDocument : document;
  const win = doc.defaultView;
  // An open dialog is all that can be reached.
  const root = () => doc.querySelector("dialog[open]") ?? (scope ? doc.querySelector(scope) : doc.body) ?? doc.createElement("div");
  const seen = (e) => e.checkVisibility({ visibilityProperty: true, opacityProperty: true });
  const ready = () => doc.readyState === "complete" && (!!win.htmx || !doc.querySelector("script"));
  const label = (e) => e.textContent.trim().replace(/\s+/g, " ");
  const clickable = () => [...root().querySelectorAll("button, a[href], summary")].filter((e) => seen(e) && !e.disabled);
  const named = (text) => (ready() ? clickable().find((e) => label(e) === text) : undefined);
  const labelled = (text) => {
    if (!ready()) return undefined;
    for (const l of root().querySelectorAll("label")) {
      if (l.control && label(l).replace(/ \*$/, "") === text) return l.control;
    }
    return root().querySelector(`[aria-label="${CSS.escape(text)}"]`);
  };
  return {
    ready, label, clickable, named, labelled,
    path: () => win.location.pathname + win.location.search,
    text: () => (root().innerText ?? ""),
    // Where a thing is, once it has stopped moving and nothing covers it.
    spot: async (e) => {
      if (!e) return null;
      e.scrollIntoView({ block: "center", behavior: "instant" });
      const box = () => e.getBoundingClientRect();
      const before = box();
      await new Promise((done) => setTimeout(done, 30));
      if (outer && outer.contentDocument !== doc) return null;
      const now = box();
      if (!e.isConnected || now.x !== before.x || now.y !== before.y || now.width === 0) return null;
      const x = now.x + now.width / 2, y = now.y + now.height / 2;
      const top = doc.elementFromPoint(x, y);
      if (!top || !(e.contains(top) || top.contains(e))) return null;
      const from = outer ? outer.getBoundingClientRect() : { x: 0, y: 0 };
      const border = outer ? outer.clientLeft : 0;
      return { X: from.x + border + x, Y: from.y + border + y };
    },
    selected: (text) => {
      const e = labelled(text);
      if (!e || doc.activeElement !== e) return false;
      e.select?.();
      return true;
    },
    choose: (text, option) => {
      const list = labelled(text);
      const found = [...(list?.options ?? [])].find((o) => label(o) === option || label(o).startsWith(option + " ("));
      if (!found) return false;
      found.selected = true;
      list.dispatchEvent(new win.Event("input", { bubbles: true }));
      list.dispatchEvent(new win.Event("change", { bubbles: true }));
      return true;
    },
    tooWide: () => {
      const most = doc.documentElement.clientWidth;
      const wide = [];
      if (doc.documentElement.scrollWidth > most) wide.push(`page ${doc.documentElement.scrollWidth} > ${most}`);
      for (const e of doc.body.querySelectorAll("*")) {
        if (!seen(e) || e.closest(".visually-hidden, .skip")) continue;
        const box = e.getBoundingClientRect();
        if (box.right > most + 1 || box.left < -1) wide.push(`${e.tagName}.${e.className} ${box.left}–${box.right} > ${most}`);
      }
      return wide;
    },
  };
};
