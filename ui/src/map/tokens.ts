/** Reads the design tokens, so that the map has no colours of its own. */
import type { MapTheme } from './types'

const TOKENS = [
  'surface-2', 'surface-3', 'line-3', 'text-1', 'text-2', 'accent',
  'ok', 'info', 'warn', 'serious', 'crit', 'stale', 'offline',
  'map-out', 'map-land', 'map-forest', 'map-water', 'map-river', 'map-shore', 'map-ward', 'map-border', 'map-glow',
  'map-road-mw', 'map-road-tr', 'map-road-pr', 'map-road-case', 'map-relief',
  'map-label', 'map-label-2', 'map-label-water', 'map-halo',
  'aqi-1', 'aqi-2', 'aqi-3', 'aqi-4', 'aqi-5', 'aqi-6',
  'aqi-1-on', 'aqi-2-on', 'aqi-3-on', 'aqi-4-on', 'aqi-5-on', 'aqi-6-on',
  'lu-odt', 'lu-ont', 'lu-skk', 'lu-tmd', 'lu-luc', 'lu-cln', 'lu-hnk', 'lu-dgd', 'lu-dyt', 'lu-dkv', 'lu-dgt', 'lu-mnc',
  'lu-tsc',
] as const

export type Token = (typeof TOKENS)[number]

/** The tokens' values in one theme. */
export interface Palette {
  readonly theme: MapTheme
  readonly color: Readonly<Record<Token, string>>
}

/** Stands in where a stylesheet lacks a token: visible, but no warning colour. */
const MISSING = '#808080'

/**
 * The tokens as `theme` has them, whatever theme the page shows just now: read from a hidden element that carries the
 * theme itself, so that the order of switching page and map does not matter.
 */
export function readPalette(host: HTMLElement, theme: MapTheme): Palette {
  const probe = host.ownerDocument.createElement('div')
  probe.dataset.theme = theme
  probe.hidden = true
  host.append(probe)
  const style = getComputedStyle(probe)
  const value = (token: Token) => style.getPropertyValue(`--${token}`).trim() || MISSING
  const color = Object.fromEntries(TOKENS.map((token) => [token, value(token)])) as Record<Token, string>
  probe.remove()
  return { theme, color }
}

/** Red, green and blue of a hex colour; null for other notations. */
function channels(color: string): number[] | null {
  const hex = /^#([0-9a-f]{6})$/i.exec(color)?.[1] ?? /^#([0-9a-f]{3})$/i.exec(color)?.[1]?.replace(/./g, '$&$&')
  return hex ? [0, 2, 4].map((at) => Number.parseInt(hex.slice(at, at + 2), 16)) : null
}

/** A hex colour with an opacity. Other notations come back as they are. */
export function fade(color: string, opacity: number): string {
  const rgb = channels(color)
  return rgb ? `rgba(${rgb.join(',')},${opacity})` : color
}

/** `share` of `to` laid over `from`, both hex colours. */
export function mix(from: string, to: string, share: number): string {
  const [a, b] = [channels(from), channels(to)]
  if (!a || !b) return from
  return `rgb(${a.map((one, at) => Math.round(one + ((b[at] ?? one) - one) * share)).join(',')})`
}
