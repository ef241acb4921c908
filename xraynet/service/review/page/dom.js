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

// Puts new children in, and the focus back to the child that has the same data-focus as the one that had it.
export function refill(parent, ...children) {
  const focus = parent.contains(document.activeElement) ? document.activeElement.dataset.focus : undefined;
  parent.replaceChildren(...children.filter((child) => child !== null));
  if (focus) [...parent.querySelectorAll("[data-focus]")].find((child) => child.dataset.focus === focus)?.focus({ preventScroll: true });
}

export const plural = (number, one, many = `${one}s`) => `${number} ${number === 1 ? one : many}`;

// A click by mouse or finger gives the keys back to the film; one by keyboard leaves the focus where it is.
export const byPointer = (event) => event.detail > 0;
