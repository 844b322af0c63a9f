/** Light or dark: as the system says, until the user chooses; the choice is remembered. */
import { at } from "./dom.js";
import { keep, recall } from "./storage.js";
import { say } from "./locale.js";

const system = matchMedia("(prefers-color-scheme: dark)");

const dark = () => {
  const chosen = document.documentElement.dataset.theme;
  return chosen ? chosen === "dark" : system.matches;
};

function label() {
  at("theme").textContent = say(dark() ? "theme.light" : "theme.dark");
}

/** Follow the system and the switch. */
export function startTheme() {
  const kept = recall("theme");
  if (kept === "light" || kept === "dark") document.documentElement.dataset.theme = kept;
  at("theme").addEventListener("click", () => {
    const chosen = dark() ? "light" : "dark";
    document.documentElement.dataset.theme = chosen;
    keep("theme", chosen);
    label();
  });
  system.addEventListener("change", label);
  document.addEventListener("language", label);
}
