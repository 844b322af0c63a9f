/** Light or dark: the system's theme until the user chooses one; the choice is remembered. */
import { byId } from "./dom.js";
import { recall, remember } from "./storage.js";
import { t } from "./locale.js";

const system = matchMedia("(prefers-color-scheme: dark)");

const dark = () => {
  const { theme } = document.documentElement.dataset;
  return theme ? theme === "dark" : system.matches;
};

function label() {
  byId("theme").textContent = t(dark() ? "theme.light" : "theme.dark");
}

/** Follow the system and the button. */
export function startTheme() {
  const saved = recall("theme");
  if (saved === "light" || saved === "dark") document.documentElement.dataset.theme = saved;
  byId("theme").addEventListener("click", () => {
    const theme = dark() ? "light" : "dark";
    document.documentElement.dataset.theme = theme;
    remember("theme", theme);
    label();
  });
  system.addEventListener("change", label);
  document.addEventListener("language", label);
}
