/** The window's texts. Vietnamese is the language of record; both files hold the same keys (i18n.test.ts). */
import en from '@assets/locale/ui.en.json'
import vi from '@assets/locale/ui.vi.json'
import type { Language, Title } from '../bridge'
import { formatNumber } from './formats'

export type TextKey = keyof typeof vi
export type TextArgs = Record<string, string | number>

const texts: Record<Language, Record<TextKey, string>> = { vi, en }
const chosen = $state({ language: 'vi' as Language })

export const language = (): Language => chosen.language

export function setLanguage(language: Language): void {
  chosen.language = language
}

/** The text of a key in the desk's language. */
export const t = (key: TextKey, args: TextArgs = {}): string => fill(texts[chosen.language][key], args, chosen.language)

/** True for a key that is built at run time, for example from an enum's word. */
export const isTextKey = (key: string): key is TextKey => key in vi

/** A title that came from the core. */
export const tt = (title: Title): string => title[chosen.language] || title.vi

/**
 * `{n}` takes an argument (numbers are grouped); `{n|one|many}` takes the first word for exactly one.
 */
export function fill(text: string, args: TextArgs, language: Language): string {
  return text.replace(/\{(\w+)(?:\|([^|}]*)\|([^}]*))?\}/g, (whole, name: string, one?: string, many?: string) => {
    const value = args[name]
    if (value === undefined) return whole
    if (one !== undefined) return (value === 1 ? one : many) ?? ''
    return typeof value === 'number' ? formatNumber(value, 0, language) : value
  })
}
