// Elements of the page. Text is set as text only, never as HTML.

const SVG = "http://www.w3.org/2000/svg";

/** Return the element with this id. */
export const byId = (id) => document.getElementById(id);

/**
 * Return a new element.
 *
 * `properties`: attributes by name; `class` is the class, `on` an object of listeners, `style` an object of custom
 * properties. Attributes whose value is null, undefined or false are left out, true stands for an empty value.
 * `children`: elements or strings; null and false are left out.
 */
export function make(tag, properties = {}, ...children) {
  return filled(document.createElement(tag), properties, children);
}

/** Return a new element of SVG, as `make`. */
export function makeSvg(tag, properties = {}, ...children) {
  return filled(document.createElementNS(SVG, tag), properties, children);
}

function filled(element, properties, children) {
  for (const [name, value] of Object.entries(properties)) {
    if (name === "on") {
      for (const [event, listener] of Object.entries(value)) {
        element.addEventListener(event, listener);
      }
    } else if (name === "style") {
      for (const [property, one] of Object.entries(value)) {
        element.style.setProperty(property, one);
      }
    } else if (value === true || (value !== null && value !== undefined && value !== false)) {
      element.setAttribute(name, value === true ? "" : value);
    }
  }
  element.append(...children.filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

/** Set the text of an element, where it is another one: a live region is not announced again. */
export function setText(element, text) {
  if (element.textContent !== text) {
    element.textContent = text;
  }
}

/** Give a select these options, `[value, text]`, and keep what is chosen where that is still there. */
export function setOptions(select, options, chosen = select.value) {
  const now = [...select.options].map((option) => [option.value, option.text]);
  if (JSON.stringify(now) !== JSON.stringify(options)) {
    select.replaceChildren(...options.map(([value, text]) => make("option", { value }, text)));
  }
  if (options.some(([value]) => value === chosen)) {
    select.value = chosen;
  }
}

/** Return a function that calls `action` once, so many milliseconds after its last call. */
export function delayed(action, milliseconds) {
  let timer = 0;
  return () => {
    clearTimeout(timer);
    timer = setTimeout(action, milliseconds);
  };
}
