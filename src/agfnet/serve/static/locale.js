/** The language of the page: what it says, and how it writes numbers and names. */
import { keep, recall } from "./storage.js";
import en from "./words/en.js";
import zh from "./words/zh.js";

/** @type {Record<string, Record<string, string>>} */
const LANGUAGES = { en, zh };

let language = recall("language") ?? navigator.language.slice(0, 2);
if (!(language in LANGUAGES)) language = "en";

/** @returns {string} the language of the page */
export const current = () => language;

/** @returns {string[]} all languages */
export const languages = () => Object.keys(LANGUAGES);

/**
 * What the page says.
 * @param {string} key of the dictionaries
 * @param {Record<string, unknown>} [values] to fill in
 * @param {string} [lang] other than that of the page
 * @returns {string}
 */
export function say(key, values = {}, lang = language) {
  const text = LANGUAGES[lang][key];
  if (text === undefined) throw new Error(`no words for ${key}`);
  return text.replace(/\{(\w+)\}/g, (_, name) => String(values[name]));
}

/**
 * A name that comes from the model, in the language of the page where it is known.
 * @param {"class" | "modality" | "method"} group
 * @param {string} name
 * @returns {string}
 */
export const nameOf = (group, name) =>
  LANGUAGES[language][`${group}.${name}`] ?? name.replaceAll("_", " ");

/**
 * A probability in per cent, never rounded to certainty.
 * @param {number} p
 * @returns {string}
 */
export function percent(p) {
  if (p < 0.005) return "<1%";
  return p > 0.995 ? ">99%" : `${(100 * p).toFixed(0)}%`;
}

/**
 * Change the language: of all elements with `data-say`, and of what listens to `language`.
 * @param {string} chosen
 */
export function speak(chosen) {
  language = chosen;
  document.documentElement.lang = chosen === "zh" ? "zh-CN" : chosen;
  document.title = `agfnet: ${say("title")}`;
  for (const element of document.querySelectorAll("[data-say]")) {
    element.textContent = say(element.getAttribute("data-say") ?? "");
  }
  document.dispatchEvent(new Event("language"));
}

/**
 * Change the language and remember it.
 * @param {string} chosen
 */
export function choose(chosen) {
  keep("language", chosen);
  speak(chosen);
}
