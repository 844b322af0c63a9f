/** The language of the page: its words, and how numbers and names are written. */
import { recall, remember } from "./storage.js";

/** @param {string} name */
async function load(name) {
  const response = await fetch(new URL(`words/${name}.json`, import.meta.url));
  return [name, await response.json()];
}

/** @type {Record<string, Record<string, string>>} */
const LANGUAGES = Object.fromEntries(await Promise.all(["en", "zh"].map(load)));

let language = recall("language") ?? navigator.language.slice(0, 2);
if (!(language in LANGUAGES)) language = "en";

/** @returns {string} the language of the page */
export const currentLocale = () => language;

/** @returns {string} the language to offer */
export const otherLocale = () => Object.keys(LANGUAGES).find((name) => name !== language) ?? "en";

/**
 * Translate a key of the dictionaries.
 * @param {string} key
 * @param {Record<string, unknown>} [values] for the `{names}` in the text
 * @param {string} [lang] other than that of the page
 * @returns {string}
 */
export function t(key, values = {}, lang = language) {
  const text = LANGUAGES[lang][key];
  if (text === undefined) throw new Error(`no words for ${key}`);
  return text.replace(/\{(\w+)\}/g, (_, name) => String(values[name]));
}

/** @type {Record<string, Record<string, unknown>>} names of the classes by language */
let labels = {};

/**
 * Set the names of the classes.
 * @param {Record<string, import("./api.js").Label>} names by class
 */
export function setLabels(names) {
  labels = names;
}

/**
 * Translate a name that comes from the model; an unknown name is shown as it is.
 * @param {"class" | "group" | "modality" | "method"} kind
 * @param {string} name
 * @returns {string}
 */
export function nameOf(kind, name) {
  const label = kind === "class" ? labels[name]?.[language] : LANGUAGES[language][`${kind}.${name}`];
  return typeof label === "string" ? label : name.replaceAll("_", " ");
}

/**
 * Write a list of names.
 * @param {string[]} names
 */
export const listOf = (names) => names.join(t("separator"));

/**
 * Write whole per cent, never as certainty.
 * @param {number} number
 * @returns {string}
 */
export function percentText(number) {
  if (number <= 0) return "<1%";
  return number >= 100 ? ">99%" : `${number}%`;
}

/**
 * Write a setting such as a coverage in per cent with all its digits: 97.5 % are not 98 %.
 * @param {number} fraction
 */
export function settingPercent(fraction) {
  return `${Number((100 * fraction).toPrecision(6))}%`;
}

/**
 * Write a rate or a threshold in per cent. The server rounds the probabilities of a lesion.
 * @param {number} p
 */
export const percent = (p) => percentText(Math.floor(100 * p + 0.5));

/**
 * Write a threshold halfway between two whole per cent as the next whole one: probabilities that are
 * shown as this number or a larger one are at or above it.
 * @param {number} threshold
 */
export const wholePercent = (threshold) => percent(Math.ceil(100 * threshold - 1e-9) / 100);

/**
 * Write a rate with its interval.
 * @param {import("./api.js").Rate} rate
 */
export function rateText({ value, low, high }) {
  if (value === null) return t("rate.none");
  const whole = (/** @type {number} */ x) => (x === 0 || x === 1 ? `${100 * x}%` : percent(x));
  if (low === null || high === null) return whole(value);
  return t("rate", { value: whole(value), low: whole(low), high: whole(high) });
}

/**
 * Write a class with its probability.
 * @param {string} name
 * @param {number} number in whole per cent
 */
export const withProbability = (name, number) =>
  t("named_probability", { name: nameOf("class", name), p: percentText(number) });

/**
 * Change the language of all elements with `data-t`, and of all listeners to `language`.
 * @param {string} name
 */
export function setLocale(name) {
  language = name;
  document.documentElement.lang = name === "zh" ? "zh-CN" : name;
  document.title = `agfnet${t("colon")}${t("title")}`;
  for (const element of document.querySelectorAll("[data-t]")) {
    element.textContent = t(element.getAttribute("data-t") ?? "");
  }
  document.dispatchEvent(new Event("language"));
}

/**
 * Change the language and remember it.
 * @param {string} name
 */
export function chooseLocale(name) {
  remember("language", name);
  setLocale(name);
}
