// Small words for the document. Whatever comes from the server goes in as text, never as markup.

export const by = (id) => document.getElementById(id);

// An element with attributes, listeners ("on" and a function), a class and children (texts or elements).
export function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (typeof value === "function") element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

// Puts new children in. One that is as it was stays the same element, so that a button is not changed for another between
// press and release; the focus goes to the child that has the same data-focus as the one that had it.
export function refill(parent, ...children) {
  const focus = parent.contains(document.activeElement) ? document.activeElement.dataset.focus : undefined;
  const wanted = children.filter((child) => child !== null), before = [...parent.children];
  wanted.forEach((child, at) => {
    if (!before[at]) parent.append(child);
    else if (!before[at].isEqualNode(child)) before[at].replaceWith(child);
  });
  before.slice(wanted.length).forEach((child) => child.remove());
  if (focus && document.activeElement?.dataset.focus !== focus) [...parent.querySelectorAll("[data-focus]")].find((child) => child.dataset.focus === focus)?.focus({ preventScroll: true });
}

export const plural = (number, one, many = `${one}s`) => `${number} ${number === 1 ? one : many}`;

// A click by mouse or finger gives the keys back to the film; one by keyboard leaves the focus where it is.
export const byPointer = (event) => event.detail > 0;
