/** Theme, language and text size on the document: what every window of the desk follows. */
import { setLanguage } from '../shared/i18n.svelte'
import type { Desk } from './desk.svelte'

export type ShownTheme = 'dark' | 'light'

const system = $state({ dark: true })
const query = typeof matchMedia === 'function' ? matchMedia('(prefers-color-scheme: dark)') : null
if (query) {
  system.dark = query.matches
  query.addEventListener('change', (event) => (system.dark = event.matches))
}

/** The theme in sight: the chosen one, or the machine's. */
export function shownTheme(desk: Desk): ShownTheme {
  const { theme } = desk.model.settings
  if (theme === 'system') return system.dark ? 'dark' : 'light'
  return theme
}

export function toggleTheme(desk: Desk): void {
  desk.change({ theme: shownTheme(desk) === 'dark' ? 'light' : 'dark' })
}

/** Keeps the document in step with the settings; called in an effect. */
export function applyLook(desk: Desk): void {
  const { language, text_scale } = desk.model.settings
  const root = document.documentElement
  setLanguage(language)
  root.lang = language
  root.dataset.theme = shownTheme(desk)
  root.style.setProperty('--text-scale', String(text_scale))
}
