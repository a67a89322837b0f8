import en from '@assets/locale/ui.en.json'
import vi from '@assets/locale/ui.vi.json'
import { expect, test } from 'vitest'
import { fill } from './i18n.svelte'

const placeholders = (text: string) => [...text.matchAll(/\{(\w+)/g)].map((match) => match[1]).sort()

test('both languages hold the same keys', () => {
  expect(Object.keys(en).sort()).toEqual(Object.keys(vi).sort())
})

test('both languages name the same placeholders, and no text is empty', () => {
  for (const [key, text] of Object.entries(vi)) {
    const twin = (en as Record<string, string>)[key] ?? ''
    expect(text.trim(), key).not.toBe('')
    expect(twin.trim(), key).not.toBe('')
    expect([...new Set(placeholders(twin))], key).toEqual([...new Set(placeholders(text))])
  }
})

test('arguments are filled in, numbers grouped, plurals chosen', () => {
  expect(fill('{n} kết quả', { n: 1012 }, 'vi')).toBe('1.012 kết quả')
  expect(fill('{n} {n|result|results}', { n: 1 }, 'en')).toBe('1 result')
  expect(fill('{n} {n|result|results}', { n: 2 }, 'en')).toBe('2 results')
  expect(fill('{x}', {}, 'vi')).toBe('{x}')
})

test('Vietnamese texts are NFC', () => {
  for (const [key, text] of Object.entries(vi)) expect(text, key).toBe(text.normalize('NFC'))
})
