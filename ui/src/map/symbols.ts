/**
 * Names of the marks, and who draws them. A mark's name says all that its picture shows, for example
 * `aqi:4:168:fresh:dark`; the picture is drawn when the map first asks for it.
 */
import type { Map as MapLibreMap } from 'maplibre-gl'
import { draw } from './draw'
import { ICONS, type IconName } from './icons'
import type { Palette } from './tokens'
import type { Freshness, MapTheme } from './types'

export type MapSymbol =
  /** VN_AQI band 0 (no index) to 6; `figure` null shows the mark without a number. */
  | { kind: 'aqi'; level: number; figure: number | null; freshness: Freshness }
  /** Severity 1 info, 2 warn, 3 serious, 4 critical. */
  | { kind: 'severity'; level: number; freshness: Freshness }
  | { kind: 'facility'; icon: IconName; freshness: Freshness }
  | { kind: 'cluster'; icon: IconName; count: number }
  /** Where a camera looks; points north. */
  | { kind: 'wedge' }
  /** White and accent ring around the selection; radius in CSS pixels. */
  | { kind: 'ring'; radius: number }
  | { kind: 'town' }
  | { kind: 'peak' }
  /** Box behind a road number; stretches. */
  | { kind: 'shield' }
  | { kind: 'hatch'; of: 'draft' | 'park' | 'planned' }

const FRESHNESS: readonly Freshness[] = ['fresh', 'stale', 'offline', 'error', 'never']
const HATCHES = ['draft', 'park', 'planned'] as const

/** The name without its theme; a style expression appends `:dark` or `:light`. */
export function symbolName(symbol: MapSymbol): string {
  switch (symbol.kind) {
    case 'aqi':
      return `aqi:${symbol.level}:${symbol.figure ?? ''}:${symbol.freshness}`
    case 'severity':
      return `severity:${symbol.level}:${symbol.freshness}`
    case 'facility':
      return `facility:${symbol.icon}:${symbol.freshness}`
    case 'cluster':
      return `cluster:${symbol.icon}:${symbol.count}`
    case 'ring':
      return `ring:${symbol.radius}`
    case 'hatch':
      return `hatch:${symbol.of}`
    default:
      return symbol.kind
  }
}

export function symbolId(symbol: MapSymbol, theme: MapTheme): string {
  return `${symbolName(symbol)}:${theme}`
}

function whole(text: string | undefined, min: number, max: number): number | null {
  const number = text && /^\d+$/.test(text) ? Number(text) : Number.NaN
  return number >= min && number <= max ? number : null
}

function parseName(parts: readonly string[]): MapSymbol | null {
  const [kind, a, b, c] = parts
  const freshnessOf = (text: string | undefined) => FRESHNESS.find((known) => known === text)
  const icon = a && Object.hasOwn(ICONS, a) ? (a as IconName) : null
  switch (kind) {
    case 'aqi': {
      const level = whole(a, 0, 6)
      const figure = b === '' ? null : whole(b, 0, 999)
      const freshness = freshnessOf(c)
      return level === null || !freshness || (figure === null && b !== '') ? null : { kind, level, figure, freshness }
    }
    case 'severity': {
      const level = whole(a, 1, 4)
      const freshness = freshnessOf(b)
      return level === null || !freshness ? null : { kind, level, freshness }
    }
    case 'facility': {
      const freshness = freshnessOf(b)
      return icon && freshness ? { kind, icon, freshness } : null
    }
    case 'cluster': {
      const count = whole(b, 0, 1_000_000)
      return icon && count !== null ? { kind, icon, count } : null
    }
    case 'ring': {
      const radius = whole(a, 4, 200)
      return radius === null ? null : { kind, radius }
    }
    case 'hatch': {
      const of = HATCHES.find((known) => known === a)
      return of ? { kind, of } : null
    }
    case 'wedge':
    case 'town':
    case 'peak':
    case 'shield':
      return parts.length === 1 ? { kind } : null
    default:
      return null
  }
}

/** What a mark's name asks for; null for a name that is none of ours. */
export function parseSymbolId(id: string): { symbol: MapSymbol; theme: MapTheme } | null {
  const parts = id.split(':')
  const theme = parts.pop()
  if (theme !== 'dark' && theme !== 'light') return null
  const symbol = parseName(parts)
  return symbol && { symbol, theme }
}

/** Past marks with other figures are dropped beyond this many. */
const KEPT = 600

/** Draws what the map misses, for as long as the map lives. `palettes` gives the colours of both themes. */
export function provideSymbols(map: MapLibreMap, palettes: (theme: MapTheme) => Palette): void {
  const ratio = Math.max(2, Math.ceil(globalThis.devicePixelRatio || 1))
  const drawn = new Set<string>()
  map.setMissingStyleImageResolver((id) => {
    const asked = parseSymbolId(id)
    if (!asked || map.hasImage(id)) return
    const picture = draw(asked.symbol, palettes(asked.theme), ratio)
    if (!picture) return
    if (/^(aqi|cluster):/.test(id)) {
      drawn.add(id)
      // An old mark still in use is asked for again, because it is then missing.
      for (const old of drawn) {
        if (drawn.size <= KEPT) break
        drawn.delete(old)
        if (map.hasImage(old)) map.removeImage(old)
      }
    }
    map.addImage(id, picture.image, { pixelRatio: ratio, ...picture.stretch })
  })
}
