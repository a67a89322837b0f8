import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'

const css = readFileSync(new URL('./tokens.css', import.meta.url), 'utf8')

function theme(name: string): Record<string, string> {
  const block = new RegExp(`\\[data-theme=${name}\\]\\{([^}]*)\\}`).exec(css)?.[1] ?? ''
  return Object.fromEntries([...block.matchAll(/--([\w-]+):\s*(#[0-9A-Fa-f]{6})/g)].map(([, key, value]) => [key, value]))
}

/** Relative luminance and contrast as WCAG 2 defines them. */
function luminance(hex: string): number {
  const [r = 0, g = 0, b = 0] = [1, 3, 5].map((at) => {
    const c = parseInt(hex.slice(at, at + 2), 16) / 255
    return c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4
  })
  return 0.2126 * r + 0.7152 * g + 0.0722 * b
}

function contrast(a: string, b: string): number {
  const [dark = 0, light = 0] = [luminance(a), luminance(b)].sort((x, y) => x - y)
  return (light + 0.05) / (dark + 0.05)
}

describe.each(['dark', 'light'])('%s theme', (name) => {
  const tokens = theme(name)
  const color = (key: string): string => {
    const value = tokens[key]
    if (!value) throw new Error(`tokens.css has no --${key} in the ${name} theme`)
    return value
  }

  test.each(['text-1', 'text-2', 'text-3'])('%s reads on every surface', (text) => {
    for (const surface of ['bg', 'surface-1', 'surface-2', 'surface-3']) {
      expect(contrast(color(text), color(surface)), `${text} on ${surface}`).toBeGreaterThanOrEqual(4.5)
    }
  })

  test('text and names in the selected row read', () => {
    for (const text of ['text-1', 'text-2', 'text-3']) {
      expect(contrast(color(text), color('surface-sel')), text).toBeGreaterThanOrEqual(4.5)
    }
  })

  test('control borders stand out', () => {
    for (const surface of ['surface-1', 'surface-2', 'surface-3']) {
      expect(contrast(color('line-3'), color(surface)), surface).toBeGreaterThanOrEqual(3)
    }
  })

  test.each(['ok', 'info', 'warn', 'serious', 'crit'])('%s reads on its soft fill', (status) => {
    expect(contrast(color(status), color(`${status}-soft`))).toBeGreaterThanOrEqual(4.5)
  })

  test('text on the accent reads', () => {
    expect(contrast(color('text-on-accent'), color('accent'))).toBeGreaterThanOrEqual(4.5)
  })
})
